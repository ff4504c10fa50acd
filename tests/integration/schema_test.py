"""The schema in PostgreSQL: its upgrades, and that its statements read no more rows than they name."""

from lifecycle_test import larder_says
from support.process import free_port
from support.resp import wait_until

VERSION = 7

# What version 7 brought, taken away.
DOWN_TO_6 = """drop table invalidated, sweeps; drop function invalidate_again, sweep_some;
    grant execute on function invalidate_tag, tell_all, tell_changes to public;"""
# And what version 3 did.
DOWN_TO_2 = DOWN_TO_6 + """
    drop index kv_by_key; drop view keys_by_tag; drop index kv_by_tag; alter table kv drop column tags;
    drop function store, drop_tagged, invalidate_tag, invalidate_tags, tag_paths, tags_lock;
    create function store(p_db smallint, p_k bytea[], p_mode smallint[], p_seen xid[], p_exp bigint[], p_v bytea[], p_now bigint)
    returns bytea[] language sql as 'select null::bytea[]'"""
# What was replaced in versions 4 and 5.
DOWN_TO_3 = DOWN_TO_6 + """
    drop index kv_by_key;
    create or replace function drop_tagged(p_db smallint, p_tags bytea[], p_exact boolean, p_all boolean, p_limit bigint)
    returns table (k bytea, exp bigint) language sql as 'select null::bytea, null::bigint where false';
    create or replace function store(p_db smallint, p_k bytea[], p_mode smallint[], p_seen xid[], p_exp bigint[], p_v bytea[],
      p_now bigint, p_tags text[], p_carries boolean) returns bytea[] language sql as 'select null::bytea[]'"""
DOWN_TO_5 = DOWN_TO_6 + "drop index kv_by_key"


def test_an_older_schema_is_upgraded(lab):
    database = lab.postgres()
    for version, changes in ((1, DOWN_TO_2), (2, DOWN_TO_2), (3, DOWN_TO_3), (4, DOWN_TO_3), (5, DOWN_TO_5), (6, DOWN_TO_6)):
        larder = lab.larder("postgres", database)
        with larder.connect() as client:
            assert client.call("SET", "kept", version) == b"+OK\r\n"
        larder.stop()
        database.psql(f"set search_path = larder; {changes}; update meta set value = '{version}' where name = 'version'")
        larder = lab.larder("postgres", database)
        assert database.psql("select value from larder.meta where name = 'version'").stdout == f"{VERSION}\n"
        with larder.connect() as client:
            assert client.value("INCR", "kept") == version + 1
            assert client.call("SET", "k", "v", "TAGS", 1, "t") == b"+OK\r\n"
            assert client.value("RENAME", "k", "l") == b"OK" and client.value("TAGINVALIDATE", "t") == 1
            assert database.psql("select larder.invalidate_tag('t')").stdout == "0\n"
        larder.stop()


def test_the_schema_of_a_newer_larder_is_left_alone(lab):
    database = lab.postgres()
    lab.larder("postgres", database).stop()
    database.psql("update larder.meta set value = '99' where name = 'version'")
    said = larder_says(lab, "--backend", "postgres", "--database-url", database.url, "--port", free_port(), expect=1)
    assert f'schema "larder" has version 99, this Larder knows versions up to {VERSION}' in said, said


def test_a_batch_reads_the_rows_that_it_names(lab):
    """... although its statements were planned while the table was empty and reading all of it as good as anything."""
    database = lab.postgres()
    larder = lab.larder("postgres", database, config={"l1.memory": "0"})
    with larder.connect() as client:
        writes = [("INCR", "k{}"), ("SET", "k{}", 1, "KEEPTTL"), ("SETNX", "new{}", 1), ("COPY", "k{}", "copy{}"), ("GETDEL", "copy{}"),
                  ("GET", "k{}"), ("DEL", "k{}")]
        for _ in range(3):
            client.pipeline([[word.format(0) for word in map(str, words)] for words in writes])
        client.pipeline([("SET", f"k{n}", n) for n in range(3000)])
        wait_until(lambda: database.psql("select analyze_count > 0 from pg_stat_user_tables where relname = 'kv'").stdout == "t\n",
                   10, "the table to be analyzed")
        database.psql("select pg_stat_reset()")
        for words in writes:
            replies = client.pipeline([[word.format(n) for word in map(str, words)] for n in range(1000)])
            assert not [reply for reply in replies if reply[:1] == b"-"], words
    larder.stop()
    read = "select coalesce(sum(idx_tup_read), 0) from pg_stat_user_indexes where indexrelname similar to 'kv_{}'"
    wait_until(lambda: int(database.psql(read.format("(pkey|by_key)")).stdout) > 7000, 5, "the statistics")
    by_key, found, others = (int(database.psql(read.format(name)).stdout) for name in ("pkey", "by_key", "by_[^k]%"))
    assert by_key < 40_000 and found < 40_000 and others == 0, (by_key, found, others)
