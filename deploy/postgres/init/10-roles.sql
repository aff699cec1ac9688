-- PersQA's roles, made once, when the server's folder is still empty. psql runs this as the server's superuser, in
-- PersQA's database. The passwords are read from the files of POSTGRES_SECRETS (/run/secrets where it is not set).

\set ON_ERROR_STOP on
\set owner_password `cat "${POSTGRES_SECRETS:-/run/secrets}/postgres_owner_password"`
\set writer_password `cat "${POSTGRES_SECRETS:-/run/secrets}/postgres_writer_password"`
\set reader_password `cat "${POSTGRES_SECRETS:-/run/secrets}/postgres_reader_password"`

-- No statement with a password in it goes to the log, not even one that fails.
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
SET password_encryption = 'scram-sha-256';

-- A file that cannot be read is no error for psql; a role without a password would be one.
SELECT length(:'owner_password') * length(:'writer_password') * length(:'reader_password') = 0 AS a_password_is_missing
\gset
\if :a_password_is_missing
    \warn 'A file with a password cannot be read, or is empty; no role was made.'
    SELECT 1 / 0 AS "there is a password for each role";
\endif

BEGIN;

-- Makes and changes the tables: `persqa migrate`.
CREATE ROLE persqa_owner LOGIN PASSWORD :'owner_password';
-- Reads and writes rows: producers and workers.
CREATE ROLE persqa_writer LOGIN PASSWORD :'writer_password';
-- Looks: people, the exporter, Grafana.
CREATE ROLE persqa_reader LOGIN PASSWORD :'reader_password';
ALTER ROLE persqa_reader SET default_transaction_read_only = on;
ALTER ROLE persqa_reader SET statement_timeout = '60s';

-- A host that is gone without a word is given up after 25 s; by itself the server keeps its connections for hours.
SELECT format('ALTER ROLE %I SET %s = %s', role, name, value)
FROM unnest(ARRAY['persqa_owner', 'persqa_writer', 'persqa_reader']) AS role,
    (VALUES ('tcp_keepalives_idle', 10), ('tcp_keepalives_interval', 5), ('tcp_keepalives_count', 3),
        ('tcp_user_timeout', 20000)) AS settings (name, value)
\gexec

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO persqa_owner, persqa_writer, persqa_reader;

ALTER SCHEMA public OWNER TO persqa_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO persqa_writer, persqa_reader;

-- What the owner makes from now on.
ALTER DEFAULT PRIVILEGES FOR ROLE persqa_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO persqa_writer;
ALTER DEFAULT PRIVILEGES FOR ROLE persqa_owner IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO persqa_writer;
ALTER DEFAULT PRIVILEGES FOR ROLE persqa_owner IN SCHEMA public
    GRANT SELECT ON TABLES TO persqa_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE persqa_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

COMMIT;
