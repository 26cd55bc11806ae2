//! The cluster's names and what is answered about them.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, ResponseCode},
    rr::{DNSClass, Name, RData, Record, RecordType, rdata::PTR},
};

/// Names below it that are not in the table do not exist, wherever else one would ask.
const ZONE: &str = "cluster.local";
/// Seconds that an answer may be kept: as CoreDNS answers for Services.
const TTL: u32 = 5;

/// Addresses by name. Names are lower case and without the final dot.
#[derive(Debug, Default)]
pub(super) struct Table {
    names: HashMap<String, Vec<IpAddr>>,
    /// Every name that others end in: it exists, though nothing is known about it.
    ancestors: HashSet<String>,
    by_address: HashMap<IpAddr, String>,
}

/// What the table has to say.
pub(super) enum Answer {
    /// Ask someone else.
    Foreign,
    Known(Message),
}

impl Table {
    pub(super) fn new(names: &HashMap<String, Vec<IpAddr>>) -> Self {
        let mut table = Self::default();
        for (name, addresses) in names {
            let name = normal(name);
            for (dot, _) in name.match_indices('.') {
                table.ancestors.insert(name[dot + 1..].to_owned());
            }
            for &address in addresses {
                // Several names have one address: the shortest, then the first by the alphabet, is told, at every start the same.
                let told = table.by_address.entry(address).or_insert_with(|| name.clone());
                if (name.len(), &name) < (told.len(), told) {
                    told.clone_from(&name);
                }
            }
            table.names.insert(name, addresses.clone());
        }
        table
    }

    pub(super) fn answer(&self, query: &Message) -> Answer {
        let [question] = query.queries.as_slice() else {
            return Answer::Foreign;
        };
        if query.metadata.op_code != OpCode::Query || question.query_class() != DNSClass::IN {
            return Answer::Foreign;
        }
        let name = normal(&question.name().to_ascii());
        let (code, records) = if let Some(addresses) = self.names.get(&name) {
            (
                ResponseCode::NoError,
                addresses.iter().filter_map(|ip| data(*ip, question.query_type())).collect(),
            )
        } else if let Some(told) = pointer(question.name()).and_then(|ip| self.by_address.get(&ip)) {
            let told = Name::from_ascii(format!("{told}.")).ok();
            let asked = question.query_type() == RecordType::PTR;
            (
                ResponseCode::NoError,
                told.filter(|_| asked).map(|name| RData::PTR(PTR(name))).into_iter().collect(),
            )
        } else if name != ZONE && !name.ends_with(&format!(".{ZONE}")) {
            return Answer::Foreign;
        } else if name == ZONE || self.ancestors.contains(&name) {
            (ResponseCode::NoError, Vec::new())
        } else {
            (ResponseCode::NXDomain, Vec::new())
        };
        let mut response = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
        response.metadata.authoritative = true;
        response.metadata.recursion_desired = query.metadata.recursion_desired;
        response.metadata.recursion_available = true;
        response.metadata.response_code = code;
        response.add_query(question.clone());
        for data in records {
            response.add_answer(Record::from_rdata(question.name().clone(), TTL, data));
        }
        if query.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(super::UDP_MAX);
            response.set_edns(edns);
        }
        Answer::Known(response)
    }
}

fn data(ip: IpAddr, asked: RecordType) -> Option<RData> {
    match (ip, asked) {
        (IpAddr::V4(ip), RecordType::A | RecordType::ANY) => Some(RData::A(ip.into())),
        (IpAddr::V6(ip), RecordType::AAAA | RecordType::ANY) => Some(RData::AAAA(ip.into())),
        _ => None,
    }
}

/// The address that a name under `in-addr.arpa` or `ip6.arpa` spells backwards.
fn pointer(name: &Name) -> Option<IpAddr> {
    let net = name.parse_arpa_name().ok()?;
    (net.prefix_len() == net.max_prefix_len()).then(|| net.addr())
}

fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}
