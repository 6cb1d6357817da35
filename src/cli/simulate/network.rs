//! The network that is simulated: the real program over a database of its own, with invented people and documents.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use jiff::tz;
use tokio::sync::Notify;

use super::control::Control;
use super::fault::Faults;
use super::front::Front;
use crate::app::Running;
use crate::cli::demo;
use crate::cli::demo::folder::{Folder, State};
use crate::cli::demo::seed::Seed;
use crate::config::{Language, Role};
use crate::model::ids::is_oid;
use crate::server::clock::Clock;
use crate::synthetic::Network;

/// What is simulated.
pub struct Options {
    /// OID of the network.
    pub home: String,
    pub data: Option<PathBuf>,
    pub patients: usize,
    pub documents: u64,
    pub listen: SocketAddr,
    pub control: SocketAddr,
    pub language: Language,
}

/// A network serving, behind its door.
pub struct Simulated {
    running: Running,
    front: Front,
    control: Control,
    network: Arc<Network>,
    /// Goes last: the database lies in it.
    folder: Folder,
}

impl Simulated {
    /// Opens everything; the people and documents are there when this returns.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let Options { home, data, patients, documents, listen, control, language } = options;
        if !is_oid(&home) {
            return Err(anyhow!("--home: '{home}' is no OID"));
        }
        let clock = Clock::System;
        let (folder, found) = Folder::open(data.as_deref())?;
        let state = match found {
            Some(state) => state,
            None => {
                let japan = tz::offset(9).to_time_zone();
                let until = clock.now().to_zoned(japan).date();
                let state = State { seed: demo::SEED, until, patients, documents, complete: false };
                folder.remember(&state)?;
                state
            }
        };
        let network = Arc::new(Network::generate(state.seed, state.patients, state.until).of(&home));
        let mut config = demo::config(&folder, None, demo::Ports::default(), language, &network)?;
        config.network.name = "simulated".to_owned();
        config.gateway.enabled = true;
        let running = Running::start(&config, clock.clone(), None).await?;
        if !state.complete {
            let seed = Seed {
                network: network.clone(),
                count: state.documents,
                clock,
                index: true,
                shown: None,
                ready: Arc::new(Notify::new()),
            };
            seed.run(&running.rooms).await?;
            folder.remember(&State { complete: true, ..state })?;
        }
        let inner = running.listening.address(Role::Soap).context("there is no SOAP listener")?;
        let front = Front::open(listen, inner, &home).await.with_context(|| format!("--listen {listen}"))?;
        let control = Control::open(control, front.faults.clone())
            .await
            .with_context(|| format!("--control {control}"))?;
        Ok(Self { running, front, control, network, folder })
    }

    pub fn running(&self) -> &Running {
        &self.running
    }

    pub fn faults(&self) -> &Faults {
        &self.front.faults
    }

    /// What to try, and the table of it for a directory of communities.
    pub fn guide(&self, language: Language) -> String {
        let (at, faults) = (self.front.address, self.control.address);
        let (oid, authority) = (self.network.oid(), self.network.patient_authority());
        let folder = self.folder.path().display();
        let table = format!(
            "[[community]]\nid = \"simulated\"\nname = \"simulated\"\nhome_community_id = \"urn:oid:{oid}\"\n\
             patient_id_authority = \"{authority}\"\ncorrelate = \"xcpd\"\n[community.endpoint]\n\
             iti38 = \"http://{at}/xca/iti38\"\niti39 = \"http://{at}/xca/iti39\"\niti44 = \"http://{at}/mpi/iti44\"\n\
             iti45 = \"http://{at}/mpi/iti45\"\niti55 = \"http://{at}/xca/iti55\"\niti56 = \"http://{at}/xca/iti56\"\n"
        );
        let ask = self.network.patients.first().map(|p| {
            format!(
                "chiren send iti55 --url http://{at} --to urn:oid:{oid} --name '{}' --kana '{} {}' --birth {} --sex {} \
                 --address '{}' --postcode {} --phone {}",
                p.name.kanji(),
                p.name.family_kana,
                p.name.given_kana,
                p.birth_dtm(),
                p.sex.hl7(),
                p.address,
                p.postcode,
                p.phone
            )
        });
        let ask = ask.unwrap_or_default();
        let fault = format!(
            "curl -X POST -d '{{\"kind\": \"hang\", \"path\": \"/xca/iti55\"}}' http://{faults}/faults"
        );
        match language {
            Language::En => format!(
                "A second network, {oid}, with {} patients, answers at http://{at} (its data: {folder}).\n\
                 For the directory of communities:\n\n{table}\nAsk it:\n  {ask}\n\
                 Let it misbehave, and stop that:\n  {fault}\n  curl -X DELETE http://{faults}/faults\n\
                 Ctrl-C ends it.\n",
                self.network.patients.len()
            ),
            Language::Ja => format!(
                "2 番目のネットワーク {oid}（患者 {} 名）が http://{at} で応答します（データ: {folder}）。\n\
                 コミュニティ一覧への記載例:\n\n{table}\n問い合わせ例:\n  {ask}\n\
                 障害の発生と解除:\n  {fault}\n  curl -X DELETE http://{faults}/faults\n\
                 Ctrl-C で終了します。\n",
                self.network.patients.len()
            ),
        }
    }

    /// Lets requests under way finish, and closes the stores.
    pub async fn end(self) {
        let Self { running, front, control, folder, .. } = self;
        drop((front, control));
        running.drain().await;
        drop(folder);
    }
}
