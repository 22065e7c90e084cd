//! Configuration of a broker, from flags, environment and file.

mod layers;

use std::path::PathBuf;

use eddy_types::{BrokerId, ClusterId};

use crate::args::{LogFormat, ServeArgs};
use crate::failure::Failure;

pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) node_id: BrokerId,
    pub(crate) cluster_id: Option<ClusterId>,
    pub(crate) kafka: String,
    pub(crate) admin: String,
    pub(crate) log_format: Option<LogFormat>,
    pub(crate) log_level: String,
}

pub(crate) fn load(args: &ServeArgs) -> Result<Config, Failure> {
    let mut problems = Vec::new();
    let mut settings =
        args.config.as_deref().map(|file| layers::of_file(file, &mut problems)).unwrap_or_default();
    settings.extend(layers::of_environment(environment()));
    settings.extend(layers::of_flags(&args.set));
    let get = |name: &str, default: &str| {
        settings
            .iter()
            .rev()
            .find(|setting| setting.name == name)
            .map_or(default.to_owned(), |setting| setting.value.clone())
    };
    if let Some(failure) = Failure::all(problems) {
        return Err(failure);
    }
    Ok(Config {
        data_dir: args.data_dir.clone(),
        node_id: BrokerId(get("node.id", "1").parse().unwrap_or(1)),
        cluster_id: None,
        kafka: get("listeners.kafka", "127.0.0.1:9092"),
        admin: get("listeners.admin", "127.0.0.1:9644"),
        log_format: args.log_format,
        log_level: args.log_level.clone().unwrap_or_else(|| "info".to_owned()),
    })
}

/// The variables of this process; what is not UTF-8 is shown with replacement characters, and refused as unknown.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}
