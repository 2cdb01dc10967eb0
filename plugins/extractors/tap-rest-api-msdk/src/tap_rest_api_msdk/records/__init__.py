"""From an answer's bytes to records: where they are, how nested ones become columns, what their columns are."""
