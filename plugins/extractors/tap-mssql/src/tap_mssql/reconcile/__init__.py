"""What the source holds now, range by range, in figures that Delta computes alike (docs/contracts.md, Reconcile)."""
