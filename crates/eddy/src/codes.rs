//! Every `ED-nnnn` code: what it means, why it happens and what to do. The start-up errors and `eddy explain` both read
//! this table, so that neither can say what the other does not know.
//!
//! Ranges: 10xx start-up, 11xx configuration, 12xx storage, 13xx local clusters, 30xx what `eddy doctor`
//! finds, 45xx answers to searches.

use std::fmt;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    Unhealthy = 3,
    NotFound = 4,
    /// `EX_CONFIG` of sysexits: a service manager can tell it from a crash and not restart.
    Configuration = 78,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit as u8)
    }
}

/// One code. Compared by its number.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) number: u16,
    pub(crate) exit: Exit,
    pub(crate) title: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) causes: &'static [&'static str],
    pub(crate) actions: &'static [&'static str],
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ED-{:04}", self.number)
    }
}

macro_rules! codes {
    ($($name:ident = $number:literal $exit:ident $title:literal $meaning:literal
       causes [$($cause:literal,)*] actions [$($action:literal,)*])*) => {
        $(pub(crate) static $name: Code = Code {
            number: $number,
            exit: Exit::$exit,
            title: $title,
            meaning: $meaning,
            causes: &[$($cause,)*],
            actions: &[$($action,)*],
        };)*

        /// Every code, ascending.
        pub(crate) static ALL: &[&Code] = &[$(&$name,)*];
    };
}

codes! {
    INTERNAL = 1000 Failed "the broker could not go on"
        "Something failed that has no code of its own. The text names the step and the operating system's reason."
        causes ["An error of the operating system during start or stop.", "A defect of this program: a panic.",]
        actions [
            "Read the reason at the end of the message.",
            "Start with --log-level debug to see the steps before it.",
            "For a panic: report the message, with RUST_BACKTRACE=1 set if it comes again.",
        ]

    PORT_IN_USE = 1001 Failed "the listener's port is in use"
        "A listener must be bound before the broker touches its data. Another process listens on the same address and port."
        causes [
            "Another Kafka or Eddyline broker runs on this machine.",
            "An earlier broker has not ended yet.",
            "Two listeners of this broker have the same port.",
        ]
        actions [
            "eddy serve --set listeners.kafka=127.0.0.1:9192 (or listeners.admin) uses another port.",
            "eddy up --port 9192 --admin-port 9744 runs the local cluster on other ports.",
            "eddy down stops a local cluster; kill <pid> stops the process that the message names.",
        ]

    CANNOT_BIND = 1002 Failed "the listener cannot be bound"
        "The operating system refused the listener's address for another reason than that it is in use."
        causes [
            "The address does not belong to this machine.",
            "The host name does not resolve.",
            "Ports below 1024 need a privilege.",
        ]
        actions [
            "Listen on 127.0.0.1 for this machine only, or on 0.0.0.0 for every interface.",
            "Set listeners.advertised to the name that clients use; the listener itself needs a local address.",
        ]

    OTHER_CLUSTER = 1010 Failed "the data directory holds the metadata of another cluster"
        "The marker file meta.json and the metadata below it name different clusters: the directory was put together from two. Serving it would mix their data. No record was changed."
        causes [
            "The directory metadata, or meta.json, was copied from another broker.",
            "A backup was restored into the directory of another cluster.",
        ]
        actions [
            "Restore the whole data directory from one copy.",
            "Start with another directory: --data-dir DIR.",
        ]

    NEWER_VERSION = 1011 Failed "the data directory was written by a newer version"
        "The marker file meta.json asks for a newer format than this version reads. Nothing was changed."
        causes ["The directory was opened by a newer version, and this is the older one.",]
        actions ["Start the version that the message names, or a newer one.",]

    DIRECTORY_IN_USE = 1012 Failed "another process uses the data directory"
        "A broker holds an exclusive lock on its data directory while it runs. The lock goes with its process, however it ends: no stale lock can be left."
        causes [
            "A broker runs on this directory already.",
            "A broker that was asked to stop is still writing its last data.",
        ]
        actions [
            "Use the running broker.",
            "eddy down --dir DIR stops a local cluster; kill <pid> stops the process that the message names.",
            "eddy serve --data-dir OTHER runs a second broker on a directory of its own.",
        ]

    WRONG_NODE = 1013 Failed "the data directory belongs to another node"
        "The marker file meta.json in the data directory names another node.id than the configuration. Replicas are placed by node id: with a wrong one the node would serve what is not its own. Nothing was changed."
        causes [
            "--data-dir points at the directory of another node.",
            "node.id was changed after the first start.",
        ]
        actions [
            "Start with the node.id that the message names.",
            "Start with the directory of this node: --data-dir DIR.",
        ]

    DIRECTORY_UNUSABLE = 1014 Failed "the data directory cannot be used"
        "The data directory cannot be created, opened or written."
        causes [
            "The process may not write there.",
            "The path, or a part of it, is a file.",
            "The file system is mounted read-only.",
        ]
        actions ["Give the user that runs eddy the directory, or name another one: --data-dir DIR.",]

    MARKER_UNREADABLE = 1015 Failed "the marker of the data directory cannot be read"
        "meta.json says whose data the directory holds. It is there, but is not what any version writes; opening the data on a guess could mix two clusters. Nothing was changed."
        causes ["The file was edited or damaged.", "The directory is not one of Eddyline's.",]
        actions [
            "Put the file back from a backup, or compare it with the one of another node.",
            "Name another directory: --data-dir DIR.",
        ]

    KAFKA_DIRECTORY = 1016 Failed "the data directory holds data of Kafka"
        "The directory has Kafka's marker file meta.properties, and none of Eddyline's. The two keep their records in different forms: neither can read the other's, and both would write below the same names. Nothing was changed."
        causes ["log.dirs of a server.properties that was made for Kafka names the directory.",]
        actions [
            "Start with another directory: --data-dir DIR, which goes before the file.",
            "Copy records from the running Kafka through its protocol, with a client of your choice.",
        ]

    DUPLICATE_NODE = 1017 Failed "another broker has this node.id"
        "Brokers are told apart by node.id. A second one with the same would get what was sent to the first. Nothing was changed."
        causes [
            "A configuration was copied, and node.id was not changed.",
            "The same broker runs already, on another data directory.",
            "cluster.seeds names this broker's own address under another number.",
        ]
        actions [
            "Give each broker its own node.id; a new data directory goes with a new one.",
            "A broker whose disk was lost comes back with its node.id and an empty directory once the old process has ended.",
        ]

    SEEDS_OF_OTHER_CLUSTER = 1018 Failed "the seeds belong to another cluster"
        "The data directory is of one cluster, and a broker that cluster.seeds names is of another. Nothing was changed."
        causes [
            "cluster.seeds names the brokers of another cluster.",
            "--data-dir points at the directory of a broker of another cluster.",
            "The other brokers were started with empty directories and have founded a cluster of their own.",
        ]
        actions [
            "Name the brokers of this cluster in cluster.seeds.",
            "Start the others with their own data directories.",
            "To join the other cluster, start with an empty directory; what this one holds stays where it is.",
        ]

    NOT_REGISTERED = 1019 Failed "the cluster did not take the broker"
        "A broker serves once the metadata says that it is there. That was not committed in time."
        causes [
            "The metadata group has no majority, or elects a leader again and again.",
            "The network between the brokers loses much.",
        ]
        actions [
            "Start the other brokers: more than half of those that vote are needed.",
            "Read the reason at the end of the message, and the log of the broker that leads the metadata group.",
        ]

    TAKEN_OUT = 1020 Failed "the broker was taken out of the cluster"
        "The metadata no longer has this broker, and it was running still. It leads nothing, nobody follows it, and it stops; its data directory is as it was."
        causes ["eddy cluster decommission or UnregisterBroker named its id.",]
        actions [
            "Leave it stopped if that was meant; its data directory may be deleted.",
            "Start it again to have it join as a broker that is new; it then copies what is assigned to it.",
        ]

    UNKNOWN_KEY = 1101 Configuration "a configuration key is not known"
        "A key that sets nothing is refused, so that a typing error is not found in production. All errors of the configuration are listed at once."
        causes [
            "The key is misspelt; the message suggests the nearest one.",
            "The key belongs to another version.",
        ]
        actions ["Correct or remove the key; config/reference.toml lists every key with its default.",]

    UNKNOWN_VARIABLE = 1102 Configuration "an environment variable sets nothing"
        "Every variable that begins with EDDY_ must name a configuration key: EDDY_WAL__PROFILE sets wal.profile. Two underscores stand for a dot."
        causes ["A single underscore where the key has a dot.", "The key is misspelt.",]
        actions ["Rename or unset the variable.",]

    BAD_VALUE = 1103 Configuration "a configuration value is not valid"
        "The key is known, but its value is not of its type or not within its bounds."
        causes ["The value is misspelt, or its unit is.", "The value is outside the bounds that the message names.",]
        actions ["Correct the value; config/reference.toml gives type, bounds and default of each key.",]

    FILE_UNREADABLE = 1104 Configuration "the configuration file cannot be read"
        "The file given with --config cannot be opened."
        causes ["The path is wrong.", "The process may not read the file.",]
        actions ["Correct the path: eddy serve --config FILE.",]

    BAD_SYNTAX = 1105 Configuration "the configuration file is not TOML"
        "The file given with --config does not follow the TOML syntax at the place shown."
        causes ["Text without quotes.", "A table or key that is there twice.",]
        actions ["Correct the line; strings need quotes, sizes and durations too: \"64MiB\", \"10ms\".",]

    SET_TWICE = 1106 Configuration "one configuration key is set twice"
        "Two names of the same key, its own and Kafka's, are set in the same place to different values. Which one wins would be a guess."
        causes ["A key and its Kafka alias are both in the file.",]
        actions ["Remove one of the two.",]

    UNSUPPORTED_KEY = 1107 Configuration "a configuration key asks for what is not there"
        "The key is one of Kafka's, and what it asks for is not served here. Without it the broker would be another one than the configuration describes: open where it should be guarded, or alone where it should be part of a cluster. So it does not start."
        causes [
            "The file was written for a Kafka with TLS, SASL or an authorizer.",
            "The file names several controllers, or plugins by their Java class.",
        ]
        actions [
            "eddy config explain KEY says what is missing.",
            "Remove the key when the broker may run without what it asks for.",
        ]

    CONFLICT = 1108 Configuration "configuration values do not go together"
        "Each value is good by itself, but not beside the other: the lower bound is above the upper one, for example."
        causes ["One of the two was changed without the other.",]
        actions ["Change one of the two; config/reference.toml gives the defaults, which go together.",]

    LOG_WRITE_FAILED = 1201 Failed "log data could not be written"
        "A write or a sync of the write-ahead log or of a segment failed while the broker ran. The kernel may have dropped the data, and a second try that succeeds would prove nothing: the broker stops at once, and acknowledges nothing more. What was acknowledged before is on disk."
        causes ["The disk, its controller or its network path failed.", "The file system was unmounted or became read-only.",]
        actions [
            "Look for disk errors: dmesg, smartctl.",
            "Start the broker again once the disk is well: it recovers by itself.",
        ]

    NO_SPACE = 1202 Failed "no space for the broker's own files"
        "The broker prepares its write-ahead log before it serves, and there is no space for it. Nothing that was acknowledged is lost."
        causes ["The file system of the data directory is full.", "A quota is used up.",]
        actions [
            "df -h shows how full it is; free some space and start again.",
            "wal.profile = \"low\" needs the least space; wal.total.bytes limits it.",
        ]

    PARTITION_OFFLINE = 1203 Failed "the log of a partition cannot be opened"
        "The files of one partition are not what was written there. The partition stays offline rather than serve wrong data; its files are left as they are."
        causes ["A disk returned wrong data.", "Files below the data directory were edited or removed.",]
        actions [
            "The message names partition, file and position: keep a copy of the directory.",
            "Restore the partition's directory from a backup, or delete the topic when its data is not needed.",
        ]

    WAL_DAMAGED = 1205 Failed "the write-ahead log is damaged"
        "Bytes that were durable are not what was written, and whole groups follow the damage: it is not the torn end that a crash leaves. Going on would lose acknowledged records. Nothing was changed."
        causes ["A disk returned wrong data.", "A file of the log was edited or replaced.",]
        actions [
            "The message names file and position: keep a copy of the data directory.",
            "Restore the file from a copy. When other brokers hold this broker's partitions, move the data directory aside and start with an empty one.",
        ]

    WAL_INCOMPLETE = 1206 Failed "the write-ahead log does not fit its checkpoint"
        "The checkpoint says from where the log must be replayed, and the log does not hold that range, or the checkpoint cannot be read. Nothing was changed."
        causes ["Files were removed from the data directory.", "The directory was put together from copies of different moments.",]
        actions ["Restore the whole data directory from one copy.",]

    DISK_FAILED = 1207 Failed "the disk failed during the start"
        "The operating system refused to read or write a file of the data directory. The message names the file and the reason."
        causes ["The process may not read or write there.", "The disk failed.", "The file system is read-only.",]
        actions ["Correct the file's permissions, or look for disk errors: dmesg, smartctl.",]

    METADATA_FAILED = 1208 Failed "the metadata of the cluster cannot be used"
        "The metadata log or its snapshot cannot be opened, or the metadata group stopped. A broker without current metadata serves nobody."
        causes ["Files below the directory metadata were edited, removed or damaged.", "The disk is full or failed.",]
        actions [
            "Read the reason in the message; keep a copy of the data directory.",
            "Restore the data directory from a copy.",
        ]

    NODES_REFUSED = 1301 Usage "a local cluster has 1, 3 or 5 nodes"
        "The nodes decide by majority. An even number tolerates no more failures than the odd one below it, and more than five on one machine only slow each other down."
        causes ["eddy up --nodes was given another number.",]
        actions ["eddy up --nodes 3 starts three nodes: one may fail.",]

    NODE_NOT_READY = 1302 Unhealthy "a node of the local cluster is not ready"
        "The node runs, but did not answer its readiness check in time."
        causes ["The node replays a long log.", "The machine is very busy.",]
        actions [
            "Look at the node's log, which the message names.",
            "eddy down stops the node; its data is kept.",
        ]

    CLUSTER_RUNS = 1303 Failed "the local cluster is running"
        "What was asked for needs a stopped cluster."
        causes ["eddy up --fresh was given while the cluster runs: it would delete data in use.",]
        actions ["eddy down stops the cluster.",]

    NODE_NOT_STOPPED = 1304 Failed "a node of the local cluster could not be stopped"
        "The process could not be signalled, or is still there after it was killed."
        causes ["The process belongs to another user.", "The process waits for a disk that does not answer.",]
        actions ["ps -p <pid> shows the process that the message names.",]

    NODES_DIFFER = 1305 Failed "the local cluster has another number of nodes"
        "The directory holds a cluster whose nodes have their shares of the data and of the vote. Starting another number of them would leave some of it out."
        causes ["eddy up --nodes was given another number than at the first start.", "The directory belongs to another cluster.",]
        actions [
            "eddy up without --nodes starts the nodes that there are.",
            "eddy up --nodes N --dir DIR makes another cluster; --fresh deletes this one's data.",
        ]

    NAME_NOT_FOUND = 3001 Unhealthy "a broker's name cannot be resolved"
        "This machine does not find an address for the name of a broker, so that no client here can connect to it."
        causes [
            "The name is misspelt.",
            "The name is known inside a container network or a cluster only.",
            "The name server of this machine does not answer.",
        ]
        actions [
            "getent hosts NAME shows what this machine resolves.",
            "Have brokers advertise a name that clients resolve: listeners.advertised = \"NAME:9092\".",
        ]

    WRONG_ADVERTISED = 3002 Unhealthy "the address that a broker advertises does not lead to it"
        "A client connects to any broker first, asks where the others are, and from then on uses the addresses that come back. An advertised address must lead to its broker from where clients run, not only from where brokers run."
        causes [
            "The broker advertises localhost or an address inside a container, and the client runs elsewhere.",
            "The port is mapped to another one on the way.",
            "The address belongs to another broker, or to another cluster.",
        ]
        actions [
            "Set listeners.advertised = \"HOST:PORT\" on the broker that the message names, to what clients can reach.",
            "Without listeners.advertised, a single broker answers each client with the address it came to.",
            "eddy doctor -b HOST:PORT checks again, from where a client runs.",
        ]

    NOT_REACHED = 3003 Unhealthy "a broker's port cannot be reached"
        "The address is known, and no TCP connection to it comes about."
        causes [
            "The broker is not running, or listens on another port.",
            "It listens on 127.0.0.1 only, and is reached from its own machine only.",
            "A firewall or a security group drops the packets.",
        ]
        actions [
            "On the broker's machine: ss -ltn shows who listens where.",
            "listeners.kafka = \"0.0.0.0:9092\" listens on every interface.",
        ]

    NOT_KAFKA = 3004 Unhealthy "a port does not answer as a Kafka broker"
        "The connection came about, and what answers there does not speak the Kafka protocol, or not without authentication or TLS."
        causes [
            "The port is that of another listener: the admin port, or one with TLS or SASL.",
            "A proxy stands in between.",
        ]
        actions ["Use the address of a listener without TLS and SASL: the broker logs its listeners when it starts.",]

    CLOCK_SKEW = 3005 Unhealthy "the clocks of broker and client differ"
        "Producers stamp records with their own clock. Retention, searches by time and lag in time go wrong by as much as the clocks differ."
        causes ["NTP does not run on one of the machines.",]
        actions ["timedatectl shows whether the clock is synchronised; run chrony or systemd-timesyncd.",]

    CANARY_FAILED = 3006 Unhealthy "a record could not be written and read back"
        "Metadata can be read, and a record cannot be written to a new topic on that broker, or does not come back."
        causes [
            "The client may not create topics, write or read.",
            "The broker's disk is full or failed.",
            "The controller has no majority.",
        ]
        actions ["eddy cluster health shows what is wrong with the cluster.", "eddy explain CODE explains the code that the message names.",]

    SEARCH_UNKNOWN_TOPIC = 4501 NotFound "no topic has the name that is searched"
        "A search names topics, lists of them with commas, or globs. A name that no topic has, or a glob that fits none, is an error, so that an empty answer always means that nothing was found."
        causes ["The name is misspelled.", "The topic was deleted, or is in another cluster.",]
        actions ["eddy topic ls lists the topics.", "curl 'http://127.0.0.1:9644/_cat/indices?v' lists those that are indexed.",]

    SEARCH_NOT_INDEXED = 4502 Failed "the topic has no index"
        "Topics are indexed only where search.enable=true is set on them."
        causes ["search.enable was never set on the topic, or was unset.",]
        actions [
            "eddy topic alter TOPIC --set search.enable=true builds the index from the log's start.",
            "eddy consume TOPIC with --key, --value and --header filters reads without an index.",
        ]

    SEARCH_BAD_QUERY = 4503 Usage "the query is not understood"
        "The text of a query or the body of a request breaks the rules of its language, or asks for what is not served. It is never guessed at: the message names line and column."
        causes [
            "A parenthesis or a quotation mark has no partner.",
            "AND, OR or NOT has nothing on one side.",
            "The body asks for a query, an aggregation or an option of Elasticsearch that is not in the subset.",
        ]
        actions [
            "eddy search --help shows the query language.",
            "Put \"quotation marks\" around text with special characters.",
        ]

    SEARCH_TOO_EXPENSIVE = 4504 Usage "the search would take too much"
        "Each search has limits of terms, buckets, memory and answer size, so that one cannot take the broker from the others."
        causes [
            "A prefix or wildcard stands for too many words.",
            "An aggregation has too many buckets.",
            "from + size, or limit, is more than 10,000.",
        ]
        actions [
            "Narrow the time range, or give more letters before the *.",
            "Read large results page by page: search_after, or next of /v1/search.",
        ]

    SEARCH_NOT_CAUGHT_UP = 4505 Failed "the index has not got as far as the search waits for"
        "refresh=wait_for and min_offset= wait until records that were just written can be found. The time was over before that; the answer says how far each partition got."
        causes [
            "The write-ahead log is pressed, and the indexer steps aside for producers.",
            "The topic was made searchable a moment ago, and its old records are being indexed.",
        ]
        actions [
            "Ask again, or give more time: timeout=60s.",
            "Leave out refresh and min_offset to search what is indexed.",
            "eddy topic describe TOPIC shows how far the index is.",
        ]

    SEARCH_TIMEOUT = 4506 Failed "the search took longer than its time"
        "Every search ends after the time it gives, or 10 seconds."
        causes ["The query looks at very much.", "The machine is busy.",]
        actions ["Narrow the time range.", "Give more time: timeout=30s.",]

    SEARCH_TOO_BUSY = 4507 Failed "too many searches are being answered"
        "A bounded number of searches runs and waits at a time. One more is refused at once with 429 and Retry-After."
        causes ["Clients ask more than the machine can answer.", "Many clients wait for freshness with refresh=wait_for.",]
        actions ["Try again after the time that Retry-After says.",]

    SEARCH_UNAVAILABLE = 4508 Failed "nothing could be searched"
        "No partition of what was asked for could be searched: an answer that is only partial would have been given with 200, and says so."
        causes ["The broker is starting.", "The brokers that lead the partitions cannot be reached.",]
        actions ["Try again after the time that Retry-After says.", "eddy cluster health shows what is wrong with the cluster.",]

    SEARCH_BODY_TOO_LONG = 4509 Usage "the body of the search is too long"
        "A request to search has at most 1 MiB."
        causes ["A query lists very many terms.",]
        actions ["Split the query into several.",]

    SEARCH_BAD_PARAMETER = 4510 Usage "a parameter of the search is not understood"
        "Parameters behind the ? of the URL are checked by name and value; none is passed over in silence."
        causes ["A name is misspelled.", "A number or a time has another form than expected.",]
        actions ["The message names the parameter and what it must be.",]
}

/// The codes for `eddy explain`, which knows those of Kafka as well.
pub(crate) fn own() -> Vec<eddy_cli::OwnCode> {
    let own = |code: &&Code| eddy_cli::OwnCode {
        number: code.number,
        exit: code.exit as u8,
        title: code.title,
        meaning: code.meaning,
        causes: code.causes,
        actions: code.actions,
    };
    ALL.iter().map(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_say_everything() {
        for pair in ALL.windows(2) {
            assert!(pair[0].number < pair[1].number, "{} before {}", pair[0], pair[1]);
        }
        for code in ALL {
            assert!(!code.causes.is_empty() && !code.actions.is_empty(), "{code}");
            assert!(code.title.starts_with(char::is_lowercase) && !code.title.ends_with('.'), "{code}");
            for sentence in [code.meaning].iter().chain(code.causes).chain(code.actions) {
                assert!(sentence.ends_with('.'), "{code}: {sentence}");
            }
        }
    }
}
