//! What a real buildah copies, beside what counts as ignored. Docker's own reading is judged by a table in `dockerfile/ignore/tests.rs`.

use std::{fs, path::Path, process::Command};

use skep_image::Ignore;

const IGNORE: &str = "\
# build output
*.{log,tmp}
{c,d}.txt
[!z]*.md
[^z]*.rst
**.tm*
**/node_modules
/dist/
docs/*
!docs/api.md
lib+x/
?[0-9].bin
 # odd
\\*.star
";

const FILES: &[&str] = &[
    "a.log",
    "x.{log,tmp}",
    "c.txt",
    "{c,d}.txt",
    "read.md",
    "!.md",
    "z.rst",
    "a.rst",
    "a.tmp",
    ".tmx",
    "sub/a.tmx",
    "sub/.tmp",
    "node_modules/x/y",
    "web/node_modules/y",
    "dist/out",
    "sub/dist/out",
    "docs/guide.md",
    "docs/api.md",
    "lib+x/a",
    "x1.bin",
    "xx.bin",
    "# odd",
    "*.star",
    "a.star",
    "src/main.rs",
];

#[test]
fn file_in_an_image_of_buildah_is_not_ignored() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let context = folder.path().join("context");
    for file in FILES {
        let path = context.join(file);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder can be made");
        fs::write(path, file).expect("a file can be written");
    }
    fs::write(context.join(".dockerignore"), IGNORE).expect("a file can be written");
    fs::write(folder.path().join("Dockerfile"), "FROM scratch\nCOPY . /\n").expect("a file can be written");
    let copied = folder.path().join("copied");
    let mut buildah = Command::new("buildah");
    buildah.args(["--storage-driver", "vfs", "--root"]).arg(folder.path().join("storage"));
    buildah.arg("--runroot").arg(folder.path().join("run"));
    buildah.args(["build", "--quiet", "--isolation", "chroot", "--output"]);
    buildah.arg(format!("type=local,dest={}", copied.display()));
    buildah.arg("--file").arg(folder.path().join("Dockerfile")).arg(&context);
    let output = buildah.output().expect("this test needs the Debian package buildah");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let ignore = Ignore::parse(IGNORE.as_bytes()).expect("the patterns are valid");
    let in_image: Vec<&&str> = FILES.iter().filter(|file| Path::exists(&copied.join(file))).collect();
    for file in &in_image {
        assert!(!ignore.ignores(file), "{file} is in the image and is no input");
    }
    // What the image lacks counts all the same only where Docker would copy it, or where what buildah makes of the pattern isn't known.
    let counted: Vec<&&str> =
        FILES.iter().filter(|file| !in_image.contains(file) && !ignore.ignores(file)).collect();
    assert_eq!(counted, Vec::<&&str>::new());
    assert!(in_image.contains(&&"src/main.rs") && !in_image.contains(&&"dist/out"), "{in_image:?}");
}
