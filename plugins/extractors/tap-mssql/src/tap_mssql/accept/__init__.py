"""`tap-mssql --accept`: the tap tried on a server of the user's own, in a schema that is made for it and dropped again."""
