//! The screen of help.

pub(crate) const USAGE: &str = "\
Usage: goose [OPTIONS] postgres DBSTRING COMMAND
   or: goose [OPTIONS] COMMAND      with the database in the environment

Commands:
    up                   Migrate the DB to the most recent version available
    up-by-one            Migrate the DB up by 1
    up-to VERSION        Migrate the DB to a specific VERSION
    down                 Roll back the version by 1
    down-to VERSION      Roll back to a specific VERSION
    redo                 Re-run the latest migration
    reset                Roll back all migrations
    status               Dump the migration status for the current DB
    version              Print the current version of the database
    create NAME [sql]    Creates new migration file with the current timestamp
    validate             Check migration files without running them

Options:
    -dir DIR             folder with the migrations (GOOSE_MIGRATION_DIR, default .)
    -table NAME          version table (GOOSE_TABLE, default goose_db_version)
    -allow-missing       apply missing (out-of-order) migrations
    -no-versioning       apply in file order, without looking at or writing versions
    -timeout DURATION    end the run after this long, for example 1h13m
    -env FILE            read environment variables from FILE (default .env; none)
    -s                   number new migrations in sequence
    -v                   say more
    -version, -h

The database, the first that is set:
    GOOSE_DIRECT_DBSTRING, DATABASE_DIRECT_URL    past any pooler; wins even over DBSTRING
    DBSTRING             postgres://user:password@host/name or \"host=… user=… dbname=…\"
    GOOSE_DBSTRING, DATABASE_URL
    DB_HOST with DB_PORT, DB_USER, DB_PASSWORD, DB_NAME, DB_SSLMODE (or POSTGRES_…)
    PGHOST and the like
DB_DIRECT_HOST stands in for DB_HOST, past any pooler.
A host whose first label ends with -pooler (Neon) is replaced by the direct one.

Examples:
    goose -dir migrations postgres \"user=app dbname=app\" up
    GOOSE_DBSTRING=postgres://app@db/app goose status";
