//! exp, erf and the functions between layers, on sixteen lanes.
//!
//! exp reduces to |r| ≤ ln 2 / 2 and takes the polynomial of the Cephes library's `expf`. erf(u) is
//! 1 - exp(-u·P(u)), where P of degree 8 was fitted to -ln(erfc(u))/u on [0, 4] for the least
//! absolute error of erf (5e-9 before rounding). A NaN stays one in all of them.

use super::lanes::Lanes;

/// The function after a linear layer, as BERT's configurations name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `gelu`: x · Φ(x), by erf
    Gelu,
    /// `gelu_new`, `gelu_pytorch_tanh`: x · Φ(x), approximated by tanh
    GeluTanh,
    /// `relu`: max(0, x)
    Relu,
    /// `tanh`
    Tanh,
    /// `silu`: x · sigmoid(x)
    Silu,
}

/// e to the power of x. Below -87.3 it is 1.2e-38, above 88 it is 1.7e38.
#[inline(always)]
pub fn exp<L: Lanes>(l: L, x: L::Vector) -> L::Vector {
    // The bounds stand first, for `max` and `min` give their second operand if one is NaN.
    let x = l.min(l.splat(88.0), l.max(l.splat(-87.3), x));
    let n = l.round(l.mul(x, l.splat(std::f32::consts::LOG2_E)));
    let r = l.mul_add(n, l.splat(-0.693_359_4), x);
    let r = l.mul_add(n, l.splat(2.121_944_4e-4), r);
    let tail = polynomial(
        l,
        r,
        [
            1.987_569_1e-4,
            1.398_2e-3,
            8.333_452e-3,
            4.166_579_6e-2,
            1.666_666_5e-1,
            5e-1,
        ],
    );
    let y = l.add(l.mul_add(tail, l.mul(r, r), r), l.splat(1.0));
    l.mul(y, l.power_of_two(n))
}

/// The error function.
#[inline(always)]
pub fn erf<L: Lanes>(l: L, x: L::Vector) -> L::Vector {
    let u = l.min(l.splat(4.0), l.abs(x));
    let p = polynomial(
        l,
        u,
        [
            -8.043_821e-6,
            1.060_266_4e-4,
            -5.879_506_3e-4,
            1.576_760_1e-3,
            -5.878_141e-5,
            -1.921_714_3e-2,
            1.027_992_1e-1,
            6.366_161e-1,
            1.128_379_3,
        ],
    );
    let complement = exp(l, l.mul(l.sub(l.splat(0.0), u), p));
    l.with_sign(l.max(l.splat(0.0), l.sub(l.splat(1.0), complement)), x)
}

/// The hyperbolic tangent.
#[inline(always)]
pub fn tanh<L: Lanes>(l: L, x: L::Vector) -> L::Vector {
    let e = exp(l, l.mul(l.abs(x), l.splat(-2.0)));
    let one = l.splat(1.0);
    l.with_sign(l.div(l.sub(one, e), l.add(one, e)), x)
}

/// Applies the function; the choice is to stand outside of loops.
#[inline(always)]
pub fn activate<L: Lanes>(l: L, activation: Activation, x: L::Vector) -> L::Vector {
    let one = l.splat(1.0);
    match activation {
        Activation::Gelu => {
            let e = erf(l, l.mul(x, l.splat(std::f32::consts::FRAC_1_SQRT_2)));
            l.mul(l.mul(l.splat(0.5), x), l.add(one, e))
        }
        Activation::GeluTanh => {
            let cubic = l.mul_add(l.mul(x, x), l.splat(0.044_715), one);
            let t = tanh(l, l.mul(l.mul(x, l.splat(0.797_884_6)), cubic));
            l.mul(l.mul(l.splat(0.5), x), l.add(one, t))
        }
        Activation::Relu => l.max(l.splat(0.0), x),
        Activation::Tanh => tanh(l, x),
        Activation::Silu => l.div(x, l.add(one, exp(l, l.sub(l.splat(0.0), x)))),
    }
}

#[inline(always)]
fn polynomial<L: Lanes, const N: usize>(l: L, x: L::Vector, coefficients: [f32; N]) -> L::Vector {
    let mut sum = l.splat(coefficients[0]);
    for coefficient in &coefficients[1..] {
        sum = l.mul_add(sum, x, l.splat(*coefficient));
    }
    sum
}
