-- What each account may do. `secure` and, in Kubernetes, components/mysql/start run this with the names between
-- two @ filled in; docs/secure-mysql.md says why. Every statement is on one line, as an init file needs it.
--
-- A table may be missing still: the server then grants rights to it only together with the right to create it,
-- which is taken away again.
REVOKE ALL PRIVILEGES, GRANT OPTION FROM @APP@;
ALTER USER @APP@ WITH MAX_USER_CONNECTIONS 200;
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON @DATABASE@.user TO @APP@;
REVOKE CREATE ON @DATABASE@.user FROM @APP@;
GRANT SELECT, CREATE ON @DATABASE@.schema_version TO @APP@;
REVOKE CREATE ON @DATABASE@.schema_version FROM @APP@;

REVOKE ALL PRIVILEGES, GRANT OPTION FROM @MIGRATE@;
ALTER USER @MIGRATE@ WITH MAX_USER_CONNECTIONS 5;
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX ON @DATABASE@.* TO @MIGRATE@;

REVOKE ALL PRIVILEGES, GRANT OPTION FROM @BACKUP@;
ALTER USER @BACKUP@ WITH MAX_USER_CONNECTIONS 2;
GRANT SELECT, CREATE ON @DATABASE@.user TO @BACKUP@;
REVOKE CREATE ON @DATABASE@.user FROM @BACKUP@;
GRANT SELECT, CREATE ON @DATABASE@.schema_version TO @BACKUP@;
REVOKE CREATE ON @DATABASE@.schema_version FROM @BACKUP@;
