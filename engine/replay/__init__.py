"""Job postings turned into contracts and run through the engine, day by day, ending in a proof."""
