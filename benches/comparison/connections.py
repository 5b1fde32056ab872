"""A repository of many connections, one file each, as large companies have it.

All 14 types take turns. The documents look like those of `examples/connections`: comments,
references to plain variables and to secrets, lists, free maps, nested objects.
"""

import subprocess
import time

TEMPLATES = {
    "email": """\
host: mail-{i}.${{var:domain}}
port: 2525
enableStartTls: true
auth: true
username: mail-{i}@example.com
password: ${{env:BENCH_SECRET}}
from: noreply@example.com
""",
    "kafka": """\
topicName: orders.v{i}
propertiesMap:
  bootstrap.servers:
    value: kafka-{i}.${{var:domain}}:9092
    valueType: STRING
  acks:
    value: all
    valueType: STRING
""",
    "elasticsearch": """\
elasticHostList:
  - scheme: https
    host: elastic-{i}.${{var:domain}}
    port: 9200
authenticate: true
elasticUsername: apinizer
elasticPassword: ${{env:BENCH_SECRET}}
indexName: traffic-{i}
indexLifecyclePolicyCreated: true
indexLifecyclePolicy:            # an object belongs to git field by field
  policyName: traffic-{i}
  enableHotPhase: true
  maxAgeOfRollover: 7
  enableDeletePhase: true
  minAgeOfDelete: 90
""",
    "rabbitMq": """\
hostPortList:
  - host: rabbit-{i}.${{var:domain}}
    port: 5672
connectionFactoryVirtualHost: /orders
authenticationEnabled: true
connectionFactoryUsername: apinizer
connectionFactoryPassword: ${{env:BENCH_SECRET}}
channelExchange: orders
channelRoutingKey: order.created
""",
    "ftp": """\
protocol: SFTP
host: sftp-{i}.${{var:domain}}
port: 2222
username: labels
password: ${{env:BENCH_SECRET}}
workingDir: /outgoing
retryCount: 5
""",
    "graylog": """\
hostname: graylog-{i}.${{var:domain}}
port: 12201
transportType: TCP
tlsEnabled: true
tlsCertVerificationEnabled: true
gelfMessageLevel: NOTICE         # a server may answer NOTICE(5): that is the same
""",
    "syslog": """\
syslogServerHostname: siem-{i}.${{var:domain}}
syslogPort: 6514
syslogSslEnabled: true
syslogMessageFormat: RFC_5424
syslogFacility: LOCAL4
""",
    "webhook": """\
httpMethod: POST
fullUrl: https://fraud-{i}.${{var:domain}}/v2/events
headerList:
  - name: Content-Type
    value: application/json
  - name: Authorization
    value: Bearer ${{env:BENCH_SECRET}}
timeout: 5
""",
    "logback": """\
logPath: /var/log/apinizer/{i}/
logFileName: traffic
# Patterns begin with a percent sign, which YAML wants in quotes.
logFilenamePattern: "%d{{yyyy-MM-dd}}.%i.log"
logPattern: "%d{{yyyy-MM-dd HH:mm:ss.SSS}}[%m]%n"
maxFileSize: 100
maxHistory: 14
""",
    "activeMq": """\
activeMqConnectionProtocolType: TCP
brokerURL: tcp://activemq-{i}.${{var:domain}}:61616
username: warehouse
password: ${{env:BENCH_SECRET}}
destinationType: QUEUE
destinationName: orders.incoming
""",
    "snmp": """\
version: V3
connectionString: udp:noc-{i}.${{var:domain}}/162
securityOrCommunityName: apinizer
messageType: INFORM
retryCount: 2
timeout: 1500
pduOidForMessage: 1.3.6.1.4.1.55555.1.1
securityLevel: AUTH_PRIV
enableUserAuthentication: true
securityName: apinizer
usmUserAuthenticationProtocol: AuthHMAC192SHA256
authPassphrase: ${{env:BENCH_SECRET}}
usmUserPrivacyProtocol: PrivAES256
privPassphrase: ${{env:BENCH_SECRET}}
privacyProtocolList: [PrivAES256]
""",
    "linux-script": """\
hostName: batch-{i}.${{var:domain}}
username: apinizer
password: ${{env:BENCH_SECRET}}
""",
    "database": """\
dbType: POSTGRES
jdbcUrl: jdbc:postgresql://db-{i}.${{var:domain}}:5432/ledger?sslmode=verify-full
username: apinizer
password: ${{env:BENCH_SECRET}}
minPoolSize: 2
maxPoolSize: ${{var:db_pool}}
""",
    "ldap": """\
serverAddress: ldap-{i}.${{var:domain}}:636
useSsl: true
username: cn=apinizer,ou=services,dc=example,dc=com
password: ${{env:BENCH_SECRET}}
baseDn: ou=people,dc=example,dc=com
customFilter: (memberOf=cn=developers,ou=groups,dc=example,dc=com)
searchScope: SUBTREE
""",
}
TYPES = list(TEMPLATES)
FOLDER = 500
IDENTITY = "Bench <bench@example.com>"
VARS = {"domain": "prod.example.com", "db_pool": 40}


def name(number):
    return f"connection-{number:06}"


def document(number, description=None):
    """The text of one file."""
    kind = TYPES[number % len(TYPES)]
    head = f"type: {kind}\nname: {name(number)}\n"
    head += f"description: {description or f'Connection {number} of the benchmark'}\n"
    return "# Owned by team-%d.\n%s%s" % (number % 40, head, TEMPLATES[kind].format(i=number))


def path(number):
    return f"connections/team-{number // FOLDER:04}/{name(number)}.yaml"


def make_repository(folder, count):
    """A bare repository with one commit of `count` files, in one pack as a clone has it."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", folder], check=True)
    commit(folder, ((path(i), document(i)) for i in range(count)), "All connections", None)
    subprocess.run(["git", "-C", folder, "gc", "-q"], check=True)


def commit(folder, files, message, parent):
    """Adds a commit in the way a push does; `parent` is the revision that it follows."""
    command = ["git", "-C", folder, "fast-import", "--quiet"]
    importer = subprocess.Popen(command, stdin=subprocess.PIPE)

    def data(text):
        raw = text.encode()
        importer.stdin.write(b"data %d\n%s\n" % (len(raw), raw))

    def line(text):
        importer.stdin.write(text.encode() + b"\n")

    line("commit refs/heads/main")
    line(f"committer {IDENTITY} {int(time.time())} +0000")
    data(message)
    if parent:
        line(f"from {parent}")
    for where, text in files:
        line(f"M 100644 inline {where}")
        data(text)
    importer.stdin.close()
    if importer.wait() != 0:
        raise RuntimeError("git fast-import failed")
