//! The fields that connections of every type have, save `type` and `name`, which are no fields
//! to compare but the identity of a connection.

use super::Field;

pub(super) static FIELDS: &[Field] = &[
    Field::text("description").about("What the connection is for, in words for people."),
    Field::flag("deployToWorker", true)
        .about("Whether a saved connection is sent on to the gateway's workers."),
    Field::flag("enabled", true).about("Whether the connection may be used."),
    Field::text("projectName")
        .openapi_only()
        .filled_by_server()
        .about("The project that holds the connection; the path of a call decides it."),
];
