"""RENDER: a verdict to text. Renderers see the Verdict alone and return text."""
