//! Lists the products that text files describe (`content/sources/<row>/<name>.yml`), so that the program carries them.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn entries(dir: &Path) -> Vec<PathBuf> {
    println!("cargo::rerun-if-changed={}", dir.display());
    let Ok(found) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut all: Vec<PathBuf> = found.flatten().map(|e| e.path()).collect();
    all.sort();
    all
}

fn main() {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let root = here.join("../../content/sources");
    let mut text = String::from("pub static MAPPINGS: &[(&str, &str)] = &[\n");
    for row in entries(&root).iter().filter(|p| p.is_dir()) {
        for file in entries(row).iter().filter(|p| p.extension().is_some_and(|e| e == "yml")) {
            let name = file.strip_prefix(&root).unwrap_or(file).display().to_string().replace('\\', "/");
            writeln!(text, "    ({name:?}, include_str!({:?})),", file.display().to_string())
                .expect("a string takes all");
        }
    }
    text.push_str("];\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join("mappings.rs");
    std::fs::write(out, text).expect("the output directory is writable");
}
