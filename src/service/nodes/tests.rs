use super::*;

const A: &str = "[[node]]\nid = 'a'\nuris = ['urn:oid:2.999.1']\ntransactions = ['*']\n";

fn certificate(uri: &str) -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names =
        vec![rcgen::SanType::URI(rcgen::string::Ia5String::try_from(uri.to_owned()).unwrap())];
    params.self_signed(&key).unwrap().der().to_vec()
}

fn nodes(dir: &tempfile::TempDir, text: &str) -> Nodes {
    let path = dir.path().join("nodes.toml");
    std::fs::write(&path, text).unwrap();
    let config = NodesConfig { directory: Some(path), ..NodesConfig::default() };
    Nodes::open(&config, Timestamp::UNIX_EPOCH).unwrap()
}

fn rewrite(dir: &tempfile::TempDir, text: &str) {
    std::fs::write(dir.path().join("nodes.toml"), text).unwrap();
}

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

#[test]
fn a_certificate_is_found_by_the_surest_mark() {
    let dir = tempfile::tempdir().unwrap();
    let leaf = certificate("urn:oid:2.999.1");
    let both = format!("{A}[[node]]\nid = 'b'\ncertificates = ['{}']\n", shown(&leaf).fingerprint);
    let nodes = nodes(&dir, &both);
    assert_eq!(nodes.identify(&shown(&leaf), NOW).unwrap().node.id, "b");
    let renewed = certificate("urn:oid:2.999.1");
    assert_eq!(nodes.identify(&shown(&renewed), NOW).unwrap().node.id, "a");
    let other = certificate("urn:oid:2.999.2");
    assert_eq!(nodes.identify(&shown(&other), NOW).unwrap_err(), Stranger::Unknown);
}

#[test]
fn a_bad_file_leaves_the_old_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let nodes = nodes(&dir, A);
    let leaf = shown(&certificate("urn:oid:2.999.1"));
    rewrite(&dir, "[[node]]\nid = 'a'\n");
    assert!(nodes.look(NOW).unwrap().is_err());
    assert_eq!(nodes.faults().len(), 1);
    assert!(nodes.identify(&leaf, NOW).is_ok() && nodes.look(NOW).is_none());
    rewrite(&dir, &format!("{A}suspended = true\n"));
    assert_eq!(nodes.look(NOW), Some(Ok(Reading { nodes: 1, closed: 0 })));
    assert!(nodes.faults().is_empty());
    assert_eq!(nodes.identify(&leaf, NOW).unwrap_err(), Stranger::Suspended);
}

#[test]
fn seats_follow_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let nodes = nodes(&dir, A);
    let listener: Arc<str> = "soap".into();
    let seat = nodes.enter(&listener, vec![certificate("urn:oid:2.999.1")], NOW).unwrap();
    rewrite(&dir, &A.replace("'*'", "'ITI-18'"));
    assert_eq!(nodes.reload(NOW), Ok(Reading { nodes: 1, closed: 0 }));
    assert_eq!(seat.entry().unwrap().grants.transactions.len(), 1);
    assert!(!seat.is_closed());
    rewrite(&dir, &A.replace("2.999.1", "2.999.2"));
    assert_eq!(nodes.reload(NOW), Ok(Reading { nodes: 1, closed: 1 }));
    assert!(seat.is_closed());
    assert_eq!(nodes.figures(), [("a".to_owned(), 1, 0)]);
    drop(seat);
    assert_eq!(nodes.figures(), [("a".to_owned(), 0, 0)]);
}

#[test]
fn a_node_has_as_many_connections_as_its_class() {
    let dir = tempfile::tempdir().unwrap();
    let class = "[[class]]\nname = 'default'\nconnections = 2\n";
    let nodes = nodes(&dir, &format!("{class}{A}"));
    let listener: Arc<str> = "soap".into();
    let enter = || nodes.enter(&listener, vec![certificate("urn:oid:2.999.1")], NOW);
    let (_one, two) = (enter().unwrap(), enter().unwrap());
    assert_eq!(enter().unwrap_err(), Refused::Full("a".into()));
    drop(two);
    assert!(enter().is_ok());
}

#[test]
fn without_a_directory_everybody_has_a_seat() {
    let nodes = Nodes::none();
    let listener: Arc<str> = "soap".into();
    let seat = nodes.enter(&listener, vec![certificate("urn:oid:2.999.1")], NOW).unwrap();
    assert!(seat.entry().is_none() && seat.request().is_ok());
    assert_eq!(nodes.close_unless("mllp", |_| false), 0);
    assert_eq!(nodes.close_unless("soap", |_| false), 1);
    assert!(seat.is_closed());
}
