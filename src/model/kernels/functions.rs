//! Functions of single numbers, sixteen at a time. A NaN stays one.

use super::vector::Vector;

/// The function behind a linear layer. The names are those of PyTorch and of `config.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x · Φ(x), exact (by erf).
    Gelu,
    /// The approximation of it by tanh: `gelu_new`, `gelu_pytorch_tanh`.
    GeluTanh,
    /// max(0, x)
    Relu,
    /// tanh(x)
    Tanh,
    /// x · sigmoid(x)
    Silu,
}

/// A function as a type, so that loops over it are compiled for it.
///
/// # Safety
/// `apply`: as of every method of [`Vector`].
pub(super) trait Function {
    unsafe fn apply<V: Vector>(x: V) -> V;
}

pub(super) struct Identity;
pub(super) struct Gelu;
pub(super) struct GeluTanh;
pub(super) struct Relu;
pub(super) struct Tanh;
pub(super) struct Silu;

impl Function for Identity {
    #[inline(always)]
    unsafe fn apply<V: Vector>(x: V) -> V {
        x
    }
}

impl Function for Gelu {
    /// max(0, x) − |x| / 2 · erfc(|x| / √2), where nothing cancels. The complementary error function
    /// is that of Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: within 1.5e-7.
    #[inline(always)]
    unsafe fn apply<V: Vector>(x: V) -> V {
        // SAFETY: the caller's.
        unsafe {
            let magnitude = x.abs();
            let u = magnitude.mul(V::splat(std::f32::consts::FRAC_1_SQRT_2));
            let one = V::splat(1.0);
            let t = one.div(u.mul_add(V::splat(0.327_591_1), one));
            let series = V::splat(1.061_405_4)
                .mul_add(t, V::splat(-1.453_152))
                .mul_add(t, V::splat(1.421_413_7))
                .mul_add(t, V::splat(-0.284_496_74))
                .mul_add(t, V::splat(0.254_829_6))
                .mul(t);
            let zero = V::splat(0.0);
            let erfc = series.mul(exp(zero.sub(u.mul(u))));
            let half = magnitude.mul(V::splat(0.5));
            zero.larger_or(x).sub(half.mul(erfc))
        }
    }
}

impl Function for GeluTanh {
    #[inline(always)]
    unsafe fn apply<V: Vector>(x: V) -> V {
        const ROOT_OF_2_OVER_PI: f32 = 0.797_884_6;
        // SAFETY: the caller's.
        unsafe {
            let cube = x.mul(x).mul(x);
            let inner = cube.mul_add(V::splat(0.044_715), x);
            let bent = Tanh::apply(inner.mul(V::splat(ROOT_OF_2_OVER_PI)));
            x.mul(V::splat(0.5)).mul(bent.add(V::splat(1.0)))
        }
    }
}

impl Function for Relu {
    #[inline(always)]
    unsafe fn apply<V: Vector>(x: V) -> V {
        // SAFETY: the caller's.
        unsafe { V::splat(0.0).larger_or(x) }
    }
}

impl Function for Tanh {
    /// 1 − 2 / (e²ˣ + 1)
    #[inline(always)]
    unsafe fn apply<V: Vector>(x: V) -> V {
        // SAFETY: the caller's.
        unsafe {
            let (one, two) = (V::splat(1.0), V::splat(2.0));
            one.sub(two.div(exp(x.add(x)).add(one)))
        }
    }
}

impl Function for Silu {
    #[inline(always)]
    unsafe fn apply<V: Vector>(x: V) -> V {
        // SAFETY: the caller's.
        unsafe {
            let one = V::splat(1.0);
            x.div(one.add(exp(V::splat(0.0).sub(x))))
        }
    }
}

/// eˣ, within two units of the last place. Below -87.3 it is that of -87.3, which is 1.2e-38; above 88
/// that of 88.
///
/// The argument is a multiple of ln 2, taken off in two parts, and a rest, of which a polynomial is
/// computed (Cephes Mathematical Library, expf).
///
/// # Safety
/// As of every method of [`Vector`].
#[inline(always)]
pub(super) unsafe fn exp<V: Vector>(x: V) -> V {
    // SAFETY: the caller's.
    unsafe {
        // In this order, what is no number stays so.
        let x = V::splat(-87.3).larger_or(x);
        let x = V::splat(88.0).smaller_or(x);
        let multiple = x.mul(V::splat(std::f32::consts::LOG2_E)).round();
        let rest = multiple.mul_add(V::splat(-0.693_359_4), x);
        let rest = multiple.mul_add(V::splat(2.121_944_4e-4), rest);
        let polynomial = V::splat(1.987_569_2e-4)
            .mul_add(rest, V::splat(1.398_2e-3))
            .mul_add(rest, V::splat(8.333_452e-3))
            .mul_add(rest, V::splat(4.166_579_6e-2))
            .mul_add(rest, V::splat(1.666_666_5e-1))
            .mul_add(rest, V::splat(0.5));
        let square = rest.mul(rest);
        let small = polynomial.mul_add(square, rest).add(V::splat(1.0));
        small.mul(multiple.power_of_two())
    }
}
