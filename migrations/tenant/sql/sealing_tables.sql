-- One order of all events, and the Merkle log over it (decision 0004). Nothing here is ever changed.

-- Batches that nobody sealed yet; the posting statement adds one row per batch.
CREATE TABLE unsealed (
    batch_id bigint PRIMARY KEY
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

CREATE TABLE block (
    no bigint PRIMARY KEY CONSTRAINT block_no_from_one CHECK (no >= 1),
    first_journal_no bigint NOT NULL CONSTRAINT block_first_from_one CHECK (first_journal_no >= 1),
    last_journal_no bigint NOT NULL CONSTRAINT block_last_unique UNIQUE,
    root bytea NOT NULL CONSTRAINT block_root_is_sha256 CHECK (length(root) = 32),
    custody_entries bigint NOT NULL,
    platform_entries bigint NOT NULL,
    sealed_at timestamptz NOT NULL CONSTRAINT block_sealed_at_unique UNIQUE,
    CONSTRAINT block_not_empty CHECK (last_journal_no >= first_journal_no),
    CONSTRAINT block_of_its_root UNIQUE (last_journal_no, root)
);
COMMENT ON COLUMN block.root IS 'Of the tree over the leaf hashes of all events up to last_journal_no.';

CREATE TABLE seal (
    journal_no bigint PRIMARY KEY,
    event_id bigint NOT NULL CONSTRAINT seal_event_once UNIQUE,
    custody_entries bigint NOT NULL,
    platform_entries bigint NOT NULL
);
COMMENT ON COLUMN seal.custody_entries IS
    'Entries of the book in all events up to and including this one.';

CREATE TABLE tree_node (
    level smallint CONSTRAINT tree_node_level_kept CHECK (level IN (8, 16, 24)),
    position bigint CONSTRAINT tree_node_position_from_zero CHECK (position >= 0),
    hash bytea NOT NULL CONSTRAINT tree_node_hash_is_sha256 CHECK (length(hash) = 32),
    PRIMARY KEY (level, position)
);

CREATE TABLE checkpoint (
    size bigint CONSTRAINT checkpoint_once PRIMARY KEY,
    root bytea NOT NULL,
    note text NOT NULL,
    signed_at timestamptz NOT NULL,
    CONSTRAINT checkpoint_of_a_block FOREIGN KEY (size, root)
        REFERENCES block (last_journal_no, root)
);

CREATE TABLE anchored (
    size bigint CONSTRAINT anchored_checkpoint_is_known REFERENCES checkpoint (size),
    anchor text CONSTRAINT anchored_anchor_is_named CHECK (anchor ~ '^[a-z][a-z0-9_-]*$'),
    receipt text NOT NULL,
    anchored_at timestamptz NOT NULL,
    CONSTRAINT anchored_once PRIMARY KEY (size, anchor)
);
