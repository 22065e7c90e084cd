//! `eddy generate`: completions and manual pages, made from the command line itself.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell;

use crate::context::Host;
use crate::error::{CliError, Exit};
use crate::output::Printer;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: GenerateCommand,
}

#[derive(Debug, Subcommand)]
enum GenerateCommand {
    /// Completions for a shell, on stdout
    Completions(ShellArguments),
    /// Manual pages: all of them into a directory, or the first one on stdout
    Man(ManArguments),
}

#[derive(Debug, Args)]
pub struct ShellArguments {
    /// The shell; without it, that of $SHELL
    #[arg(value_name = "SHELL", env = "SHELL", value_parser = shell)]
    shell: Shell,
}

#[derive(Debug, Args)]
struct ManArguments {
    /// Directory to write one page a command into
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// A shell by its name or by the path of its program.
fn shell(text: &str) -> Result<Shell, String> {
    let name = text.rsplit(['/', '\\']).next().unwrap_or(text);
    match name.trim_end_matches(".exe") {
        "pwsh" => Ok(Shell::PowerShell),
        name => name.parse().map_err(|_| format!("must be bash, zsh, fish, powershell or elvish: {text}")),
    }
}

pub(crate) fn run(printer: &Printer, host: &Host, arguments: Arguments) -> Result<(), CliError> {
    match arguments.command {
        GenerateCommand::Completions(arguments) => completions(printer, host, &arguments),
        GenerateCommand::Man(arguments) => man(printer, host, &arguments),
    }
}

pub(crate) fn completions(
    printer: &Printer,
    host: &Host,
    arguments: &ShellArguments,
) -> Result<(), CliError> {
    let mut command = (host.command_line)();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    printer.write(&String::from_utf8_lossy(&script))
}

fn man(printer: &Printer, host: &Host, arguments: &ManArguments) -> Result<(), CliError> {
    let mut command = (host.command_line)().disable_help_subcommand(true);
    command.build();
    let Some(dir) = &arguments.dir else {
        return printer.write(&String::from_utf8_lossy(&page(command)?));
    };
    let mut written = 0;
    let mut open = vec![command];
    while let Some(command) = open.pop() {
        open.extend(command.get_subcommands().filter(|one| !one.is_hide_set()).cloned());
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
        let path = dir.join(format!("{name}.1"));
        (host.replace)(&path, &page(command)?).map_err(|error| {
            CliError::new(Exit::Failed, format!("cannot write {}: {error}", path.display()))
        })?;
        written += 1;
    }
    printer.write(&format!("{written} pages in {}\n", dir.display()))
}

fn page(command: clap::Command) -> Result<Vec<u8>, CliError> {
    let mut page = Vec::new();
    let title = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    clap_mangen::Man::new(command).title(title).render(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_goes_by_name_or_path() {
        for (text, wanted) in
            [("bash", Shell::Bash), ("/usr/bin/zsh", Shell::Zsh), ("pwsh.exe", Shell::PowerShell)]
        {
            assert_eq!(shell(text), Ok(wanted), "{text}");
        }
        assert!(shell("/bin/csh").is_err());
    }
}
