"""Links in the formats that other programs read: tables, NIF, Web Annotations, TEI."""
