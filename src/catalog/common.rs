//! The fields that connections of every type have. `type` and `name` stand apart: they are no
//! fields to compare but the identity of a connection.

use super::Field;

/// `type` and `name`, which every document declares; neither takes references.
pub static IDENTITY: [Field; 2] = [
    Field::text("type").required().about("The type of the connection; it cannot change."),
    Field::text("name")
        .required()
        .about("The name of the connection, unique in its project whatever its case."),
];

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
