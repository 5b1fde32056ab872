//! Databases and their connection pools.

use super::{Condition, ConnectionType, Field, HiddenPlace, Kind, SecretsOnGet};

const CREDENTIALS: Condition = Condition::Is("useCredentials", "true");

pub(super) static DATABASE: ConnectionType = ConnectionType {
    name: "database",
    about: "A database that is reached over JDBC, with its connection pool.",
    console_only: None,
    secrets_on_get: SecretsOnGet::Masked,
    own_fields: &[
        Field::choice("dbType", DATABASES).required().about("Product of the database."),
        Field::text("jdbcUrl").required().hides(HiddenPlace::Url).about("JDBC URL."),
        Field::flag("useCredentials", true)
            .about("Whether the pool logs in with a user name and password."),
        Field::text("username").required_when(CREDENTIALS).about("User name at the database."),
        Field::text("databaseName").about("Name of the database."),
        Field::text("password")
            .required_when(CREDENTIALS)
            .secret_when(CREDENTIALS)
            .about("Password at the database."),
        Field::int32("initialPoolSize")
            .default_integer(1)
            .about("Connections that are opened at the start."),
        Field::int32("minPoolSize").default_integer(1).about("Fewest connections that stay open."),
        Field::int32("maxPoolSize").default_integer(5).about("Most connections at a time."),
        Field::int32("incrementCount")
            .default_integer(1)
            .about("Connections that are opened at once when the pool runs dry."),
        Field::int32("maxStatements")
            .default_integer(100)
            .about("Prepared statements that the pool keeps."),
        Field::int32("idleConnectionTestPeriod")
            .default_integer(30000)
            .about("Time between tests of an idle connection, in milliseconds."),
        Field::int32("connectionTimeout")
            .default_integer(30000)
            .about("How long getting a connection may take, in milliseconds."),
        Field::flag("testConnectionOnCheckout", true)
            .about("Whether a connection is tested when it is taken from the pool."),
        Field::flag("testConnectionOnCheckin", false)
            .about("Whether a connection is tested when it is given back."),
        Field::int32("maxConnectionAge")
            .default_integer(180_000)
            .about("Age at which a connection is closed, in milliseconds."),
        Field::int32("maxIdleTime")
            .default_integer(120_000)
            .about("Idle time after which a connection is closed, in milliseconds."),
        Field::text("selectedEnvironmentId")
            .guide_only()
            .about("Id of the environment whose variables are used."),
        Field::text("defaultLogSchema")
            .guide_only()
            .about("Schema of the log tables that no override names."),
        Field::map("logTableSchemaOverrides", &Kind::Text)
            .guide_only()
            .about("Schema of single log tables: schema by table."),
        Field::map("logTableNameOverrides", &Kind::Text)
            .guide_only()
            .about("Other names of single log tables: name by table."),
    ],
};

const DATABASES: &[&str] = &[
    "ORACLE",
    "MYSQL",
    "POSTGRES",
    "SQL_SERVER",
    "SYBASE",
    "DB2",
    "APACHE_HIVE",
    "APACHE_IMPALA",
    "MONGODB",
    "TRINO",
];
