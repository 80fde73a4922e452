//! Kernels from their text: as much of PTX as the kernels here are written in, run one thread after the other.
//!
//! Registers are 64 bits that each instruction takes for what it says. What is not understood is an error with the
//! line, never a guess. Not here: shared memory, barriers, and whatever else needs several threads at a time.

use std::collections::HashMap;

use crate::machine::Launch;
use crate::memory::{Borrowed, Memory};

/// A thread that takes more steps than that hangs.
const STEPS: u64 = 10_000_000;
/// The first registers: the thread's place. Then come numbers of the text, and what it declares.
const SPECIAL: [&str; 4] = ["%ctaid.x", "%ntid.x", "%tid.x", "%nctaid.x"];

/// One entry of a module.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// How many bytes each parameter has.
    pub(crate) parameters: Vec<usize>,
    /// What its threads do, or why that is not known.
    pub(crate) code: Result<Code, String>,
}

/// What each thread does.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    /// What is in the registers at the beginning.
    registers: Vec<u64>,
    lines: Vec<Line>,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    /// Only if this register is not 0.
    only_if: Option<usize>,
    does: Does,
    /// The register that is written, or the line that comes next.
    to: usize,
    from: [usize; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Move,
    Parameter,
    Load,
    Store,
    Add32,
    Add64,
    AddFloat,
    Subtract32,
    Multiply32,
    MultiplyWide,
    MultiplyAdd32,
    MultiplyFloat,
    MultiplyAddFloat,
    DivideFloat,
    RootFloat,
    Shift64,
    IsEqual32,
    IsEqualFloat,
    IsAtLeast32,
    Choose,
    Branch,
    Return,
}

/// What an instruction does, and how many operands it reads.
fn instruction(name: &str) -> Option<(Does, usize)> {
    Some(match name {
        "mov.u32" | "mov.u64" | "mov.f32" | "cvta.to.global.u64" => (Does::Move, 1),
        "ld.param.u32" | "ld.param.u64" => (Does::Parameter, 1),
        "ld.global.u32" | "ld.global.f32" => (Does::Load, 1),
        "st.global.u32" | "st.global.f32" => (Does::Store, 2),
        "add.u32" | "add.s32" => (Does::Add32, 2),
        "add.u64" | "add.s64" => (Does::Add64, 2),
        "add.f32" => (Does::AddFloat, 2),
        "sub.u32" => (Does::Subtract32, 2),
        "mul.lo.u32" => (Does::Multiply32, 2),
        "mul.wide.u32" => (Does::MultiplyWide, 2),
        "mad.lo.u32" => (Does::MultiplyAdd32, 3),
        "mul.f32" => (Does::MultiplyFloat, 2),
        "fma.rn.f32" => (Does::MultiplyAddFloat, 3),
        "div.rn.f32" => (Does::DivideFloat, 2),
        "sqrt.rn.f32" => (Does::RootFloat, 1),
        "shl.b64" => (Does::Shift64, 2),
        "setp.eq.u32" => (Does::IsEqual32, 2),
        "setp.eq.f32" => (Does::IsEqualFloat, 2),
        "setp.ge.u32" => (Does::IsAtLeast32, 2),
        "selp.f32" | "selp.b32" | "selp.u32" => (Does::Choose, 3),
        "bra" | "bra.uni" => (Does::Branch, 0),
        "ret" => (Does::Return, 0),
        _ => return None,
    })
}

impl Entry {
    /// The entry of this name in a text; `None` where there is none.
    pub(crate) fn find(text: &str, name: &str) -> Option<Self> {
        let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        let text = lines.collect::<Vec<_>>().join("\n");
        let (_, rest) = text.split_once(&format!(".entry {name}("))?;
        let (list, rest) = rest.split_once(')')?;
        let declared = list.split(',').map(str::trim).filter(|parameter| !parameter.is_empty());
        let mut parameters = Vec::new();
        let mut names = HashMap::new();
        for parameter in declared {
            let mut words = parameter.split_whitespace().skip(1);
            let ty = words.next()?;
            let bits: usize = ty.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().ok()?;
            names.insert(format!("[{}]", words.next()?), parameters.len());
            parameters.push(bits / 8);
        }
        let (_, rest) = rest.split_once('{')?;
        let (body, _) = rest.split_once('}')?;
        Some(Self { parameters, code: Text::new(names).read(body) })
    }
}

/// A body as it is read.
struct Text {
    parameters: HashMap<String, usize>,
    names: HashMap<String, usize>,
    labels: HashMap<String, usize>,
    registers: Vec<u64>,
    lines: Vec<Line>,
    /// Branches whose labels may come later.
    branches: Vec<(usize, String)>,
}

impl Text {
    fn new(parameters: HashMap<String, usize>) -> Self {
        let names = SPECIAL.iter().enumerate().map(|(at, name)| ((*name).to_owned(), at)).collect();
        Self {
            parameters,
            names,
            labels: HashMap::new(),
            registers: vec![0; SPECIAL.len()],
            lines: Vec::new(),
            branches: Vec::new(),
        }
    }

    fn read(mut self, body: &str) -> Result<Code, String> {
        for statement in body.split(';') {
            let mut statement = statement.trim();
            while let Some((label, rest)) = statement.split_once(':') {
                self.labels.insert(label.trim().to_owned(), self.lines.len());
                statement = rest.trim();
            }
            if statement.is_empty() {
                continue;
            }
            self.statement(statement).ok_or_else(|| format!("`{statement}` is not known here"))?;
        }
        for (line, label) in &self.branches {
            let at = self.labels.get(label).ok_or_else(|| format!("there is no `{label}`"))?;
            self.lines[*line].to = *at;
        }
        Ok(Code { registers: self.registers, lines: self.lines })
    }

    fn statement(&mut self, statement: &str) -> Option<()> {
        if let Some(list) = statement.strip_prefix(".reg") {
            let (_, names) = list.trim().split_once(char::is_whitespace)?;
            for name in names.split(',') {
                self.names.insert(name.trim().to_owned(), self.registers.len());
                self.registers.push(0);
            }
            return Some(());
        }
        let (only_if, rest) = match statement.strip_prefix('@') {
            Some(rest) => {
                let (name, rest) = rest.split_once(char::is_whitespace)?;
                (Some(*self.names.get(name)?), rest.trim())
            }
            None => (None, statement),
        };
        let (name, operands) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let (does, reads) = instruction(name)?;
        let operands: Vec<&str> =
            operands.split(',').map(str::trim).filter(|operand| !operand.is_empty()).collect();
        let mut line = Line { only_if, does, to: 0, from: [0; 3] };
        match does {
            Does::Return => (),
            Does::Branch => self.branches.push((self.lines.len(), (*operands.first()?).to_owned())),
            Does::Store => line.from = [self.address(operands.first()?)?, self.operand(operands.get(1)?)?, 0],
            _ => {
                line.to = *self.names.get(*operands.first()?)?;
                for at in 0..reads {
                    let operand = operands.get(1 + at)?;
                    line.from[at] = match does {
                        Does::Parameter => *self.parameters.get(*operand)?,
                        Does::Load => self.address(operand)?,
                        _ => self.operand(operand)?,
                    };
                }
            }
        }
        self.lines.push(line);
        Some(())
    }

    /// The register of an address: `[%name]`.
    fn address(&self, operand: &str) -> Option<usize> {
        self.names.get(operand.strip_prefix('[')?.strip_suffix(']')?).copied()
    }

    /// A register, or a number, which gets one.
    fn operand(&mut self, operand: &str) -> Option<usize> {
        if let Some(at) = self.names.get(operand) {
            return Some(*at);
        }
        let value = match operand.strip_prefix("0f") {
            Some(bits) => u64::from(u32::from_str_radix(bits, 16).ok()?),
            None => operand.parse().ok()?,
        };
        self.registers.push(value);
        Some(self.registers.len() - 1)
    }
}

impl Code {
    /// Runs all threads, one after the other.
    ///
    /// # Errors
    ///
    /// What a device would fail with: a touch of memory that the arguments do not lead to, or threads without end.
    pub(crate) fn run(&self, memory: &mut Memory, launch: &Launch) -> Result<(), String> {
        let ([blocks, 1, 1], [threads, 1, 1]) = (launch.blocks, launch.threads) else {
            return Err(format!("{launch:?} has more than one direction"));
        };
        let mut borrowed = memory.borrow(&launch.arguments);
        let mut result = Ok(());
        let mut registers = self.registers.clone();
        'all: for block in 0..blocks {
            for thread in 0..threads {
                registers.copy_from_slice(&self.registers);
                let place = [block, threads, thread, blocks].map(u64::from);
                registers[..SPECIAL.len()].copy_from_slice(&place);
                result = self.thread(&mut registers, &mut borrowed, &launch.arguments);
                if result.is_err() {
                    break 'all;
                }
            }
        }
        memory.take_back(borrowed);
        result
    }

    fn thread(&self, registers: &mut [u64], memory: &mut Borrowed, arguments: &[u64]) -> Result<(), String> {
        let mut next = 0;
        for _ in 0..STEPS {
            let Some(line) = self.lines.get(next) else { return Ok(()) };
            next += 1;
            if line.only_if.is_some_and(|register| registers[register] == 0) {
                continue;
            }
            let [a, b, c] = line.from;
            let whole = |at: usize| registers[at] as u32;
            let float = |at: usize| f32::from_bits(registers[at] as u32);
            let value = match line.does {
                Does::Return => return Ok(()),
                Does::Branch => {
                    next = line.to;
                    continue;
                }
                Does::Store => {
                    memory.four(registers[a])?.copy_from_slice(&whole(b).to_le_bytes());
                    continue;
                }
                Does::Load => u64::from(u32::from_le_bytes(*memory.four(registers[a])?)),
                Does::Parameter => arguments[a],
                Does::Move => registers[a],
                Does::Add32 => whole(a).wrapping_add(whole(b)).into(),
                Does::Add64 => registers[a].wrapping_add(registers[b]),
                Does::Subtract32 => whole(a).wrapping_sub(whole(b)).into(),
                Does::Multiply32 => whole(a).wrapping_mul(whole(b)).into(),
                Does::MultiplyWide => u64::from(whole(a)) * u64::from(whole(b)),
                Does::MultiplyAdd32 => whole(a).wrapping_mul(whole(b)).wrapping_add(whole(c)).into(),
                Does::AddFloat => (float(a) + float(b)).to_bits().into(),
                Does::MultiplyFloat => (float(a) * float(b)).to_bits().into(),
                Does::MultiplyAddFloat => float(a).mul_add(float(b), float(c)).to_bits().into(),
                Does::DivideFloat => (float(a) / float(b)).to_bits().into(),
                Does::RootFloat => float(a).sqrt().to_bits().into(),
                Does::Shift64 => registers[a].checked_shl(whole(b)).unwrap_or(0),
                Does::IsEqual32 => (whole(a) == whole(b)).into(),
                Does::IsEqualFloat => (float(a) == float(b)).into(),
                Does::IsAtLeast32 => (whole(a) >= whole(b)).into(),
                Does::Choose => registers[if registers[c] == 0 { b } else { a }],
            };
            registers[line.to] = value;
        }
        Err("a thread does not end".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Home;

    fn entry(body: &str) -> Entry {
        let text =
            format!(".version 6.0\n.visible .entry e(.param .u64 at, .param .u32 count)\n{{ {body} }}");
        Entry::find(&text, "e").unwrap()
    }

    /// Runs one block of so many threads on a block of memory of 16 bytes.
    fn run(body: &str, threads: u32) -> Result<Vec<u8>, String> {
        let mut memory = Memory::default();
        let at = memory.add(16, Home::Device(0));
        memory.write(at, &[0; 16]);
        let launch =
            Launch { blocks: [1; 3], threads: [threads, 1, 1], arguments: vec![at, u64::from(threads)] };
        entry(body).code?.run(&mut memory, &launch)?;
        Ok(memory.read(at, 16))
    }

    const BEGIN: &str = "
        .reg .u32 %t, %n, %x; .reg .u64 %at, %o; .reg .pred %p; .reg .f32 %f;
        mov.u32 %t, %tid.x; ld.param.u64 %at, [at]; ld.param.u32 %n, [count];
        mul.wide.u32 %o, %t, 4; add.u64 %at, %at, %o;";

    #[test]
    fn threads_find_their_places_and_numbers_are_what_they_say() {
        let store =
            "add.u32 %x, %t, 40; mul.lo.u32 %x, %x, 2; sub.u32 %x, %x, 1; st.global.u32 [%at], %x; ret;";
        let found = run(&format!("{BEGIN} {store}"), 4).unwrap();
        assert_eq!(found, [79_u32, 81, 83, 85].map(u32::to_le_bytes).concat());
        let floats = "mov.f32 %f, 0f40490fdb; sqrt.rn.f32 %f, %f; st.global.f32 [%at], %f; ret;";
        let found = run(&format!("{BEGIN} {floats}"), 1).unwrap();
        assert_eq!(found[..4], std::f32::consts::PI.sqrt().to_le_bytes());
    }

    #[test]
    fn a_branch_is_taken_where_its_register_says_so() {
        let body = "setp.ge.u32 %p, %t, 2; @%p bra FAR; mov.u32 %x, 1; bra END; FAR: mov.u32 %x, 2; END:
            st.global.u32 [%at], %x;";
        assert_eq!(
            run(&format!("{BEGIN} {body}"), 4).unwrap(),
            [1_u32, 1, 2, 2].map(u32::to_le_bytes).concat()
        );
    }

    #[test]
    fn what_a_device_would_fail_with_is_an_error() {
        let outside = run(&format!("{BEGIN} st.global.u32 [%at], %t;"), 5).unwrap_err();
        assert!(outside.contains("no argument leads there"), "{outside}");
        let endless = run("AGAIN: bra AGAIN;", 1).unwrap_err();
        assert!(endless.contains("does not end"), "{endless}");
        let unknown = run("bar.sync 0;", 1).unwrap_err();
        assert!(unknown.contains("`bar.sync 0` is not known"), "{unknown}");
        let nowhere = run("bra NOWHERE;", 1).unwrap_err();
        assert!(nowhere.contains("`NOWHERE`"), "{nowhere}");
        assert!(Entry::find("no text of that kind", "e").is_none());
    }

    #[test]
    fn parameters_have_the_bytes_of_their_types() {
        assert_eq!(entry("ret;").parameters, [8, 4]);
    }
}
