"""What stands between this machine and a good read of the source."""
