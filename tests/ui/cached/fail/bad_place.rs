use larder::{Local, cached};

#[cached(scope = "process")]
fn unknown(n: u32) -> u32 {
    n
}

#[cached(scope = "thred")]
fn slip(n: u32) -> u32 {
    n
}

#[cached(scope = thread)]
fn unquoted(n: u32) -> u32 {
    n
}

static CACHES: Local = Local::new();

#[cached(within = CACHES)]
fn no_argument(n: u32) -> u32 {
    n
}

struct Object {
    caches: Local,
}

impl Object {
    #[cached(within = self.caches, scope = "thread")]
    fn both(&self, n: u32) -> u32 {
        n
    }
}

#[cached(within = object.caches, status, handle = "of_object")]
fn beside(object: &Object, n: u32) -> u32 {
    n + size_of_val(object) as u32
}

fn main() {
    let object = Object { caches: Local::new() };
    unknown(slip(unquoted(no_argument(object.both(beside(&object, 1))))));
}
