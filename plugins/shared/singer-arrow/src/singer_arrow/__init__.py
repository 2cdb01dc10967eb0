"""Parquet parts, load documents and manifests: what the taps and the target share (docs/contracts.md)."""
