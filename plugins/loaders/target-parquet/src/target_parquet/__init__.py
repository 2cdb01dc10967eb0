"""Singer target: adopts Parquet parts or writes them from records, one manifest per load (docs/contracts.md)."""
