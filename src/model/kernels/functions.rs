//! exp, erf and the functions between layers, on sixteen lanes.
//!
//! exp reduces to |r| ≤ ln 2 / 2 and takes the polynomial of the Cephes library's `expf`. erf(x) is
//! x·P(x²)/Q(x²) with P of degree 6 and Q of degree 4, fitted on [-4, 4] for the least absolute error
//! (5e-8 before rounding, 3.3e-7 with it). A NaN stays one in all of them.

use serde::Deserialize;

use super::lanes::Lanes;

/// The function after a linear layer, by its name in `model.toml` or in a Hugging Face `config.json`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// x · Φ(x), by erf
    Gelu,
    /// x · Φ(x), approximated by tanh
    #[serde(alias = "gelu_new", alias = "gelu_pytorch_tanh")]
    GeluTanh,
    /// max(0, x)
    Relu,
    /// tanh(x)
    Tanh,
    /// x · sigmoid(x)
    #[serde(alias = "swish")]
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

/// The error function. Beyond ±4 it is ±1.
#[inline(always)]
pub fn erf<L: Lanes>(l: L, x: L::Vector) -> L::Vector {
    // As in `exp`, the bounds stand first.
    let x = l.min(l.splat(4.0), l.max(l.splat(-4.0), x));
    let square = l.mul(x, x);
    let numerator = polynomial(
        l,
        square,
        [
            1.921_723_6e-8,
            -1.990_315_2e-6,
            1.555_352_2e-4,
            4.292_986e-3,
            5.243_325_6e-2,
            2.139_431_4e-1,
            1.128_378_6,
        ],
    );
    let denominator = polynomial(
        l,
        square,
        [
            1.098_022e-3,
            1.555_095_4e-2,
            1.207_989_7e-1,
            5.229_298_5e-1,
            1.0,
        ],
    );
    let erf = l.div(l.mul(x, numerator), denominator);
    // Where x is great, the last bit too much would be multiplied by it.
    l.min(l.splat(1.0), l.max(l.splat(-1.0), erf))
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
            let half = l.mul(l.splat(0.5), x);
            let e = erf(l, l.mul(x, l.splat(std::f32::consts::FRAC_1_SQRT_2)));
            l.mul_add(half, e, half)
        }
        Activation::GeluTanh => {
            let cubic = l.mul_add(l.mul(x, x), l.splat(0.044_715), one);
            let t = tanh(l, l.mul(l.mul(x, l.splat(0.797_884_6)), cubic));
            l.mul(l.mul(l.splat(0.5), x), l.add(one, t))
        }
        Activation::Relu => l.max(l.splat(0.0), x),
        Activation::Tanh => tanh(l, x),
        Activation::Silu => {
            // Below, e to the power of -x is as great as it gets.
            let x = l.max(l.splat(-88.0), x);
            l.div(x, l.add(one, exp(l, l.sub(l.splat(0.0), x))))
        }
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
