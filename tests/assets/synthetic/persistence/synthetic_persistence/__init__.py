"""Made for scangate's tests: leaves a line (a comment) where shells and desktops start."""

from pathlib import Path

for name in (".bashrc", ".profile", ".config/autostart/synthetic.desktop"):
    path = Path.home() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write("# left by synthetic-persistence, which does nothing\n")
