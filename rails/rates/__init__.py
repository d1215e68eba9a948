"""Where rates of exchange come from: a central bank's file, or a table of one's own."""
