//! Whole numbers, `+ - * /` and brackets, by two stacks. The pooled part of the example.

use larder::{Weigh, pooled};

/// Its lists keep their memory from one request to the next, up to 64 KiB; a request that needed more than that pays for it
/// itself.
#[pooled(max = 64, max_kb = 64, reset = Self::clear)]
#[derive(Default, Weigh)]
pub(crate) struct Parser {
    values: Vec<i64>,
    operators: Vec<u8>,
    digits: String,
}

impl Parser {
    fn clear(&mut self) {
        self.values.clear();
        self.operators.clear();
        self.digits.clear();
    }

    /// What an expression is worth, or what is wrong with it.
    pub(crate) fn evaluate(&mut self, expression: &[u8]) -> Result<i64, &'static str> {
        for &byte in expression {
            if byte.is_ascii_digit() {
                self.digits.push(byte.into());
                continue;
            }
            self.end_number()?;
            match byte {
                b' ' => {}
                b'(' => self.operators.push(byte),
                b')' => {
                    while self.operators.last().ok_or("a bracket is never opened")? != &b'(' {
                        self.apply()?;
                    }
                    self.operators.pop();
                }
                b'+' | b'-' | b'*' | b'/' => {
                    while self.operators.last().is_some_and(|before| binds(*before) >= binds(byte)) {
                        self.apply()?;
                    }
                    self.operators.push(byte);
                }
                _ => return Err("only numbers, + - * / and brackets"),
            }
        }
        self.end_number()?;
        while !self.operators.is_empty() {
            self.apply()?;
        }
        match self.values[..] {
            [value] => Ok(value),
            _ => Err("values without an operator between them"),
        }
    }

    fn end_number(&mut self) -> Result<(), &'static str> {
        if !self.digits.is_empty() {
            self.values.push(self.digits.parse().map_err(|_| "a number is too large")?);
            self.digits.clear();
        }
        Ok(())
    }

    fn apply(&mut self) -> Result<(), &'static str> {
        let operator = self.operators.pop();
        if operator == Some(b'(') {
            return Err("a bracket is never closed");
        }
        let (Some(b), Some(a)) = (self.values.pop(), self.values.pop()) else {
            return Err("an operator without a value on each side");
        };
        let value = match operator {
            Some(b'+') => a.checked_add(b),
            Some(b'-') => a.checked_sub(b),
            Some(b'*') => a.checked_mul(b),
            _ => a.checked_div(b),
        };
        self.values.push(value.ok_or("a value is too large, or divided by 0")?);
        Ok(())
    }
}

/// How tight an operator holds what is beside it.
fn binds(operator: u8) -> u8 {
    match operator {
        b'*' | b'/' => 2,
        b'+' | b'-' => 1,
        _ => 0,
    }
}
