//! Memory that begins at a cache line, in words of 32 bits: an f32 or a pair of bf16.

/// A cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u32; 16]);

/// Words that begin at a cache line.
#[derive(Default)]
pub struct Buffer {
    lines: Vec<Line>,
}

impl Buffer {
    /// Zeros.
    pub fn zeros(words: usize) -> Self {
        let mut buffer = Self::default();
        buffer.grow(words);
        buffer
    }

    /// Makes room for this many words; what stands there is whatever stood there.
    pub fn grow(&mut self, words: usize) {
        let lines = words.div_ceil(16);
        if self.lines.len() < lines {
            self.lines.resize(lines, Line([0; 16]));
        }
    }

    /// The first word.
    pub fn as_ptr(&self) -> *const u32 {
        self.lines.as_ptr().cast()
    }

    /// The first word.
    pub fn as_mut_ptr(&mut self) -> *mut u32 {
        self.lines.as_mut_ptr().cast()
    }

    /// The first `count` words as f32.
    pub fn floats(&mut self, count: usize) -> &mut [f32] {
        self.grow(count);
        // SAFETY: `grow` made the room, and any bits are an f32.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr().cast(), count) }
    }
}
