"""Tables in AdventureWorks' shape, generated: the same rows every time. The SQL Server and the API serve them."""
