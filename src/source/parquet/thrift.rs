//! Thrift's compact protocol, walked but not kept: what a header claims, before a decoder that
//! allocates what is claimed gets to see it.
//!
//! Invariants: a walk needs no memory, and stack for [`DEEPEST`] levels at most; every element that
//! a list claims to have is there; known fields have their own type on the wire. The decoder goes by
//! a field's number alone, and a walk that ended the field elsewhere would look at other bytes.

use std::io::{self, Read};

/// Levels of fields that are not in the grammar; those of the format have four.
const DEEPEST: usize = 32;

/// Bytes of a number, seven bits each.
const LONGEST_NUMBER: u32 = 10;

const STOP: u8 = 0;
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const STRUCT: u8 = 12;

/// Type of a field.
pub enum Kind {
    Bool,
    Byte,
    I16,
    I32,
    I64,
    Double,
    Binary,
    List(&'static Kind),
    Struct(Fields),
}

/// The fields of a struct that are known, by their numbers.
pub type Fields = &'static [(i16, Kind)];

/// What a walk comes by.
pub enum Event {
    /// A list of so many elements begins.
    List(u32),
    /// An integer.
    Number(i64),
    /// A struct in a list is over.
    End,
}

/// Walks one struct of `fields` from `input`. `see` is told of the known fields, each by the
/// numbers that lead to it, and refuses what it says with its own words.
///
/// # Errors
/// The bytes are not such a struct, or `see` refuses; the text says why.
pub fn walk<R: Read>(
    input: R,
    fields: Fields,
    see: impl FnMut(&[i16], Event) -> Result<(), String>,
) -> Result<(), String> {
    let mut walk = Walk {
        input,
        path: Vec::new(),
        see,
    };
    walk.fields(fields).map(drop)
}

struct Walk<R, S> {
    input: R,
    path: Vec<i16>,
    see: S,
}

impl<R: Read, S: FnMut(&[i16], Event) -> Result<(), String>> Walk<R, S> {
    /// Walks to the end of a struct; the number of its fields.
    fn fields(&mut self, known: Fields) -> Result<u32, String> {
        let mut count = 0;
        let mut last = 0;
        while let Some((id, wire)) = self.field(last)? {
            match known.iter().find(|(known, _)| *known == id) {
                Some((_, kind)) => {
                    self.path.push(id);
                    if !kind.is(wire) {
                        return Err(format!("field {:?} is of another type", self.path));
                    }
                    self.value(kind)?;
                    self.path.pop();
                }
                None => self.skip(wire, DEEPEST)?,
            }
            last = id;
            count += 1;
        }
        Ok(count)
    }

    /// Number and type of the next field of a struct, of which `last` was the one before.
    fn field(&mut self, last: i16) -> Result<Option<(i16, u8)>, String> {
        let header = self.byte()?;
        let (delta, wire) = (header >> 4, header & 0x0f);
        Ok(match (delta, wire) {
            (_, STOP) => None,
            (0, wire) => {
                let id = i16::try_from(self.number()?).map_err(|_| "a field's number is too large");
                Some((id?, wire))
            }
            (delta, wire) => {
                let id = last.checked_add(i16::from(delta));
                Some((id.ok_or("a field's number is too large")?, wire))
            }
        })
    }

    fn value(&mut self, kind: &'static Kind) -> Result<(), String> {
        match kind {
            // Its value is in its type.
            Kind::Bool => Ok(()),
            Kind::Byte => self.skip_bytes(1),
            Kind::I16 => self.integer(i64::from(i16::MAX)),
            Kind::I32 => self.integer(i64::from(i32::MAX)),
            Kind::I64 => self.integer(i64::MAX),
            Kind::Double => self.skip_bytes(8),
            Kind::Binary => self.binary(),
            Kind::Struct(fields) => self.fields(fields).map(drop),
            Kind::List(element) => {
                let (length, wire) = self.list()?;
                if length > 0 && !element.is(wire) {
                    return Err(format!("list {:?} is of another type", self.path));
                }
                (self.see)(&self.path, Event::List(length))?;
                for _ in 0..length {
                    match element {
                        // In a list they have a byte of their own.
                        Kind::Bool => self.skip_bytes(1)?,
                        Kind::Struct(fields) => {
                            // None that the format has in lists is without fields, and an element
                            // of a single byte would be a cheap way to claim memory.
                            if self.fields(fields)? == 0 {
                                return Err(format!("list {:?} has an empty element", self.path));
                            }
                            (self.see)(&self.path, Event::End)?;
                        }
                        element => self.value(element)?,
                    }
                }
                Ok(())
            }
        }
    }

    fn integer(&mut self, largest: i64) -> Result<(), String> {
        let number = self.number()?;
        if !(-largest - 1..=largest).contains(&number) {
            return Err(format!("field {:?} is beyond its type", self.path));
        }
        (self.see)(&self.path, Event::Number(number))
    }

    /// Passes over a value that is not in the grammar.
    fn skip(&mut self, wire: u8, deepest: usize) -> Result<(), String> {
        let deeper = deepest.checked_sub(1).ok_or("it is nested too deeply")?;
        match wire {
            TRUE | FALSE => Ok(()),
            BYTE => self.skip_bytes(1),
            I16 | I32 | I64 => self.number().map(drop),
            DOUBLE => self.skip_bytes(8),
            BINARY => self.binary(),
            LIST | SET => {
                let (length, wire) = self.list()?;
                for _ in 0..length {
                    match wire {
                        TRUE | FALSE => self.skip_bytes(1)?,
                        wire => self.skip(wire, deeper)?,
                    }
                }
                Ok(())
            }
            STRUCT => {
                while let Some((_, wire)) = self.field(0)? {
                    self.skip(wire, deeper)?;
                }
                Ok(())
            }
            // The format has no maps.
            wire => Err(format!("there is no type {wire}")),
        }
    }

    /// Length and type of a list.
    fn list(&mut self) -> Result<(u32, u8), String> {
        let header = self.byte()?;
        let length = match header >> 4 {
            15 => self.varint()?,
            short => u64::from(short),
        };
        let length = i32::try_from(length).map_err(|_| "a list claims too many elements")?;
        Ok((length.unsigned_abs(), header & 0x0f))
    }

    fn binary(&mut self) -> Result<(), String> {
        let length = self.varint()?;
        self.skip_bytes(length)
    }

    fn skip_bytes(&mut self, length: u64) -> Result<(), String> {
        match io::copy(&mut (&mut self.input).take(length), &mut io::sink()) {
            Ok(skipped) if skipped == length => Ok(()),
            Ok(_) => Err(TOO_SHORT.to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        let zigzag = self.varint()?;
        Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut number = 0;
        for place in 0..LONGEST_NUMBER {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a number is too long".to_owned())
    }

    fn byte(&mut self) -> Result<u8, String> {
        let mut byte = [0];
        match self.input.read_exact(&mut byte) {
            Ok(()) => Ok(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(TOO_SHORT.to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

const TOO_SHORT: &str = "it ends too early";

impl Kind {
    /// Whether it is this type that stands on the wire.
    fn is(&self, wire: u8) -> bool {
        match self {
            Kind::Bool => matches!(wire, TRUE | FALSE),
            Kind::Byte => wire == BYTE,
            Kind::I16 => wire == I16,
            Kind::I32 => wire == I32,
            Kind::I64 => wire == I64,
            Kind::Double => wire == DOUBLE,
            Kind::Binary => wire == BINARY,
            Kind::List(_) => wire == LIST,
            Kind::Struct(_) => wire == STRUCT,
        }
    }
}
