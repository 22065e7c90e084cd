//! `eddy profile`: list, use, add, edit, prompt, and back to the one before.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Profile, Profiles};
use crate::context::Host;
use crate::error::CliError;
use crate::global::Global;
use crate::output::Printer;
use crate::{Address, Cell, Column};

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: ProfileCommand,
}

#[derive(Debug, Subcommand)]
enum ProfileCommand {
    /// List profiles
    #[command(visible_alias = "list")]
    Ls,
    /// Make a profile the current one; - is the one before
    Use(Named),
    /// Back to the profile before
    #[command(name = "-")]
    Previous,
    /// Add a profile, and make it the current one when it is the first
    Add(Settings),
    /// Change a profile
    Edit(Settings),
    /// Remove a profile
    #[command(visible_alias = "rm")]
    Delete(Named),
    /// Print the current profile for a shell's prompt; nothing when there is none
    Prompt,
}

#[derive(Debug, Args)]
struct Named {
    /// Name of the profile
    #[arg(value_name = "NAME", allow_hyphen_values = true)]
    name: String,
}

#[derive(Debug, Args)]
struct Settings {
    /// Name of the profile
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
    /// Refuse commands that change something
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    read_only: Option<bool>,
    /// Have destructive commands confirmed by typing a name
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    confirm: Option<bool>,
}

/// Names end up in prompts and files.
fn name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.is_empty() || text.starts_with('-') || !text.chars().all(fits) {
        return Err(format!("must be letters, digits, '.', '_' and '-', not beginning with '-': {text}"));
    }
    Ok(text.to_owned())
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    current: bool,
    #[serde(flatten)]
    profile: Profile,
}

const COLUMNS: &[Column<Row>] = &[
    Column::new("", |row| Cell::text(if row.current { "*" } else { "" })),
    Column::new("NAME", |row| Cell::text(row.name.clone())),
    Column::new("BOOTSTRAP", |row| Cell::list(&row.profile.bootstrap)),
    Column::new("READ ONLY", |row| Cell::text(yes(row.profile.read_only))),
    Column::new("CONFIRM", |row| Cell::text(yes(row.profile.confirm))),
];

fn yes(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}

pub(crate) fn run(
    printer: &Printer,
    host: &Host,
    global: &Global,
    arguments: Arguments,
) -> Result<(), CliError> {
    let mut profiles = Profiles::read(host)?;
    match arguments.command {
        ProfileCommand::Ls => return printer.rows(COLUMNS, &rows(profiles)),
        ProfileCommand::Prompt => return prompt(printer, &profiles),
        ProfileCommand::Previous => profiles.switch("-")?,
        ProfileCommand::Use(named) => profiles.switch(&named.name)?,
        ProfileCommand::Delete(named) => profiles.delete(&named.name)?,
        ProfileCommand::Add(settings) => profiles.add(&settings, &global.bootstrap)?,
        ProfileCommand::Edit(settings) => profiles.edit(&settings, &global.bootstrap)?,
    }
    profiles.write(host)?;
    printer.rows(COLUMNS, &rows(profiles))
}

fn rows(profiles: Profiles) -> Vec<Row> {
    let current = profiles.current;
    let row = |(name, profile)| Row { current: Some(&name) == current.as_ref(), name, profile };
    profiles.profiles.into_iter().map(row).collect()
}

fn prompt(printer: &Printer, profiles: &Profiles) -> Result<(), CliError> {
    let Some(name) = &profiles.current else { return Ok(()) };
    let mark = match profiles.profiles.get(name) {
        Some(profile) if profile.read_only => "(ro)",
        Some(profile) if profile.confirm => "!",
        _ => "",
    };
    printer.write(&format!("{name}{mark}\n"))
}

impl Profiles {
    /// Makes a profile the current one; `-` is the one before.
    fn switch(&mut self, name: &str) -> Result<(), CliError> {
        let name = match (name, self.previous.clone()) {
            ("-", Some(previous)) => previous,
            ("-", None) => return Err(CliError::not_found("there was no other profile before")),
            (name, _) => name.to_owned(),
        };
        self.known(&name)?;
        if self.current.as_ref() != Some(&name) {
            self.previous = self.current.replace(name);
        }
        Ok(())
    }

    fn add(&mut self, settings: &Settings, bootstrap: &[Address]) -> Result<(), CliError> {
        let name = &settings.name;
        if self.profiles.contains_key(name) {
            return Err(CliError::usage(format!("there is a profile of that name: {name}"))
                .fix(format!("eddy profile edit {name}"), "change it"));
        }
        if bootstrap.is_empty() {
            return Err(CliError::usage("a profile needs brokers to begin with")
                .fix(format!("eddy profile add {name} --bootstrap HOST:PORT"), "name one or more"));
        }
        self.profiles.insert(name.clone(), Profile::default().with(settings, bootstrap));
        if self.current.is_none() {
            self.current = Some(name.clone());
        }
        Ok(())
    }

    fn edit(&mut self, settings: &Settings, bootstrap: &[Address]) -> Result<(), CliError> {
        let profile = self.known(&settings.name)?;
        let changed = std::mem::take(profile).with(settings, bootstrap);
        *profile = changed;
        Ok(())
    }

    fn delete(&mut self, name: &str) -> Result<(), CliError> {
        self.known(name)?;
        self.profiles.remove(name);
        self.current.take_if(|current| current == name);
        self.previous.take_if(|previous| previous == name);
        Ok(())
    }

    fn known(&mut self, name: &str) -> Result<&mut Profile, CliError> {
        self.profiles.get_mut(name).ok_or_else(|| super::unknown(name))
    }
}

impl Profile {
    fn with(mut self, settings: &Settings, bootstrap: &[Address]) -> Profile {
        if !bootstrap.is_empty() {
            self.bootstrap = bootstrap.iter().map(Address::to_string).collect();
        }
        self.read_only = settings.read_only.unwrap_or(self.read_only);
        self.confirm = settings.confirm.unwrap_or(self.confirm);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str, read_only: Option<bool>) -> Settings {
        Settings { name: name.to_owned(), read_only, confirm: None }
    }

    fn address() -> Vec<Address> {
        vec!["a:1".parse().unwrap()]
    }

    fn two() -> Profiles {
        let mut profiles = Profiles::default();
        profiles.add(&settings("a", None), &address()).unwrap();
        profiles.add(&settings("b", Some(true)), &address()).unwrap();
        profiles
    }

    #[test]
    fn the_first_profile_becomes_the_current_one() {
        let profiles = two();
        assert_eq!(profiles.current.as_deref(), Some("a"));
        assert!(!profiles.profiles["a"].read_only && profiles.profiles["b"].read_only);
    }

    #[test]
    fn a_dash_goes_back_and_forth() {
        let mut profiles = two();
        assert!(profiles.switch("-").is_err(), "there was none before");
        profiles.switch("b").unwrap();
        profiles.switch("b").unwrap();
        profiles.switch("-").unwrap();
        assert_eq!(profiles.current.as_deref(), Some("a"));
        profiles.switch("-").unwrap();
        assert_eq!(profiles.current.as_deref(), Some("b"));
    }

    #[test]
    fn an_edit_changes_what_it_names_and_nothing_else() {
        let mut profiles = two();
        profiles.edit(&Settings { confirm: Some(true), ..settings("b", None) }, &[]).unwrap();
        let b = &profiles.profiles["b"];
        assert!(b.read_only && b.confirm);
        assert_eq!(b.bootstrap, ["a:1"]);
        assert!(profiles.edit(&settings("c", None), &[]).is_err());
    }

    #[test]
    fn a_deleted_profile_is_current_no_more() {
        let mut profiles = two();
        profiles.delete("a").unwrap();
        assert_eq!((profiles.current.clone(), profiles.profiles.len()), (None, 1));
        assert!(profiles.delete("a").is_err() && profiles.switch("a").is_err());
    }

    #[test]
    fn names_fit_prompts_and_files() {
        assert!(name("prod-eu.1").is_ok());
        for bad in ["", "-", "a b", "a/b", "ü"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
