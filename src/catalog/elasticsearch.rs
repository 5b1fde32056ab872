//! Elasticsearch clusters.
//!
//! The OpenAPI file gives this type a second property `type` (`READ_WRITE` or `READ`) that would
//! clash with the discriminator; `elasticsearchType` of the guide stands for it here.

use super::{Condition, ConnectionType, Default, Field, Kind, SecretsOnGet};

const AUTHENTICATED: Condition = Condition::Is("authenticate", "true");
const ENCRYPTED: Condition = Condition::Is("encryptCommunication", "true");

const fn encrypted_by(way: &'static str) -> Condition {
    Condition::Is("encryptCommunicationType", way)
}

pub(super) static ELASTICSEARCH: ConnectionType = ConnectionType {
    name: "elasticsearch",
    about: "An Elasticsearch cluster that logs are written to and read from.",
    console_only: Some("a circuit breaker, where logs are sent to the connection"),
    secrets_on_get: SecretsOnGet::Masked,
    own_fields: &[
        Field::flag("administrate", false)
            .about("Whether indexes, templates and policies are managed by Apinizer."),
        Field::list("elasticHostList", &Kind::Object(HOST)).required().about("Nodes."),
        Field::flag("authenticate", false)
            .disputed_default(&[Default::Boolean(true)])
            .about("Whether the cluster asks for a user name and password."),
        Field::text("elasticUsername")
            .required_when(AUTHENTICATED)
            .about("User name at the cluster."),
        Field::text("elasticPassword")
            .required_when(AUTHENTICATED)
            .secret_when(AUTHENTICATED)
            .about("Password at the cluster."),
        Field::flag("encryptCommunication", false)
            .about("Whether TLS is set up with the files below."),
        Field::choice(
            "encryptCommunicationType",
            &["CA_CERTIFICATE_IN_PKCS_12", "CA_IN_PEM_FILE", "CERT_AND_PRIVATE_KEY_IN_PKCS_12"],
        )
        .required_when(ENCRYPTED)
        .about("Which of the files below set up TLS."),
        Field::bytes("caCertInPkcs12File")
            .used_when(encrypted_by("CA_CERTIFICATE_IN_PKCS_12"))
            .required_when(encrypted_by("CA_CERTIFICATE_IN_PKCS_12"))
            .about("PKCS#12 file with the certificate of the authority."),
        Field::text("caCertInPkcs12FileContentType")
            .default_text("application/x-pkcs12")
            .about("Content type of `caCertInPkcs12File`."),
        Field::bytes("caInPemFile")
            .used_when(encrypted_by("CA_IN_PEM_FILE"))
            .required_when(encrypted_by("CA_IN_PEM_FILE"))
            .about("PEM file with the certificate of the authority."),
        Field::text("caInPemFileContentType")
            .default_text("application/x-pem-file")
            .about("Content type of `caInPemFile`."),
        // Called conditional by the guide, which does not say on what.
        Field::bytes("caTruststoreFile")
            .used_when(ENCRYPTED)
            .about("PKCS#12 file with the certificates to trust."),
        Field::text("caTruststoreFileContentType")
            .default_text("application/x-pkcs12")
            .about("Content type of `caTruststoreFile`."),
        Field::text("caTruststoreFilePass")
            .secret_when(Condition::Present("caTruststoreFile"))
            .about("Password of `caTruststoreFile`."),
        Field::bytes("caKeystoreFile")
            .secret_when(encrypted_by("CERT_AND_PRIVATE_KEY_IN_PKCS_12"))
            .required_when(encrypted_by("CERT_AND_PRIVATE_KEY_IN_PKCS_12"))
            .about("PKCS#12 file with our certificate and private key, in base64; `NAME_FILE` may name a file that holds that text."),
        Field::text("caKeystoreFileContentType")
            .default_text("application/x-pkcs12")
            .about("Content type of `caKeystoreFile`."),
        Field::text("caKeystoreFilePass")
            .required_when(Condition::Present("caKeystoreFile"))
            .secret_when(Condition::Present("caKeystoreFile"))
            .about("Password of `caKeystoreFile`."),
        Field::flag("disableHostnameVerification", false)
            .disputed_default(&[Default::Boolean(true)])
            .about("Whether certificates are taken whatever host they name."),
        Field::flag("indexLifecyclePolicyCreated", false)
            .about("Whether a lifecycle policy is kept for the indexes."),
        Field::object("indexLifecyclePolicy", LIFECYCLE_POLICY)
            .required_when(Condition::Is("indexLifecyclePolicyCreated", "true"))
            .about("The lifecycle policy of the indexes."),
        Field::flag("indexTemplateCreated", false)
            .about("Whether a template is kept for the indexes."),
        Field::text("indexTemplateName")
            .required_when(Condition::Is("indexTemplateCreated", "true"))
            .about("Name of the index template."),
        Field::text("indexName").about("Name of the index."),
        Field::int32("indexTemplateNumberOfShards")
            .disputed_default(&[])
            .about("Shards of an index."),
        Field::int32("indexTemplateNumberOfReplicas")
            .disputed_default(&[])
            .about("Replicas of each shard."),
        Field::text("indexTemplateRefreshInterval")
            .disputed_default(&[])
            .about("How soon a written entry can be found, `5s` say."),
        Field::int32("connectionTimeoutInMs")
            .default_integer(5000)
            .about("How long connecting may take, in milliseconds."),
        Field::int32("bulkBufferCapacity")
            .default_integer(50000)
            .guide_only()
            .about("Entries that may wait to be written."),
        Field::int32("bulkFlushIntervalMs")
            .default_integer(100)
            .guide_only()
            .about("Time after which waiting entries are written, in milliseconds."),
        Field::int32("bulkMaxBatchSize")
            .default_integer(2500)
            .guide_only()
            .about("Most entries in one write."),
        Field::disputed_choice("elasticsearchType", &["READ_WRITE", "READ"], &[])
            .default_text("READ_WRITE")
            .guide_only()
            .about("Whether the connection writes or only reads."),
        Field::disputed_choice(
            "elasticsearchMajorVersion",
            &["AUTO_DETECT", "ES_7", "ES_8", "ES_9"],
            &[],
        )
        .default_text("AUTO_DETECT")
        .guide_only()
        .about("Major version of the cluster."),
        Field::boolean("socketReuseAddress")
            .openapi_only()
            .about("Whether sockets may reuse an address; the server's code has no such field."),
        Field::boolean("socketKeepAlive")
            .openapi_only()
            .about("Whether idle TCP connections are probed; the server's code has no such field."),
        Field::int32("ioThreads").openapi_only().about("Threads that talk to the cluster; the server's code has no such field."),
        Field::int32("maxConnectionPerHost")
            .openapi_only()
            .about("Most connections to one node at a time; the server's code has no such field."),
        Field::int32("maxConnectionTotal").openapi_only().about("Most connections at a time; the server's code has no such field."),
    ],
};

static HOST: &[Field] = &[
    Field::text("scheme").default_text("http").about("`http` or `https`."),
    Field::text("host").required().about("Host name of the node."),
    Field::port("port", 9200).about("Port of the node."),
    Field::text("status")
        .openapi_only()
        .filled_by_server()
        .about("Health of the node as the server last saw it."),
    Field::text("clusterName")
        .openapi_only()
        .filled_by_server()
        .about("Name of the cluster as the node gives it."),
];

static LIFECYCLE_POLICY: &[Field] = &[
    Field::text("policyName")
        .default_text("apinizer-log-ilm-policy-default")
        .about("Name of the policy."),
    Field::flag("enableHotPhase", false).about("Whether indexes roll over (hot phase)."),
    Field::int32("maxAgeOfRollover").about("Age at which an index rolls over."),
    Field::int32("maxIndexSizeOfRollover").about("Size at which an index rolls over."),
    Field::int64("maxDocCountOfRollover").about("Entries at which an index rolls over."),
    Field::flag("enableWarmPhase", false).about("Whether there is a warm phase."),
    Field::int32("numberOfReplicasForWarm").about("Replicas in the warm phase."),
    Field::int32("maxNumShardsForShrink").about("Shards that an index shrinks to."),
    Field::int32("maxNumSegmentsForForceMerge").about("Segments that an index is merged to."),
    Field::flag("enableColdPhase", false).about("Whether there is a cold phase."),
    Field::int32("minAgeOfCold").about("Age at which an index turns cold."),
    Field::int32("numberOfReplicasForCold").about("Replicas in the cold phase."),
    Field::flag("enableDeletePhase", false).about("Whether old indexes are deleted."),
    Field::int32("minAgeOfDelete").about("Age at which an index is deleted."),
];
