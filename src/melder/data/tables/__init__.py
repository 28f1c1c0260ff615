"""Tables as spreadsheets, queries and data frames write them: rows in, fields of records out."""
