"""Generated tables modelled on AdventureWorks: the same rows every time. The SQL Server and the API serve them."""
