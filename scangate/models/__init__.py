"""The values that flow through the pipeline: frozen, without I/O and without behaviour of their own.

`lockfile`s hold dependencies; `changes` say which of them are new; `analysis` asks for reports, and names what there is
instead of one; `observations` are what a report shows; the policy turns all of it into a `verdict`, which is all that
a renderer sees.

They are NamedTuples: one is defined five times faster than a dataclass, which every start waits for, and made twice as
fast, of which a lockfile needs thousands. Nothing is made by position, and none is taken for a plain tuple: two kinds
of observation cannot be equal, for no two have fields of the same types.
"""
