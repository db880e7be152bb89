/* faults.h -- what is known to be wrong in published code, in the words of fd conform. Each
 * is computed for the cases of fd vectors in which it shows (cases_*.h). */
#ifndef FAULTS_H
#define FAULTS_H
#include "common.h"

/* What a fault is: the sentence that fd conform prints. "As in" names code that has it, or had. */
static const struct { const char *id, *text; } fault_list[] = {
    { "conjugate", "the transform has the other sign of i" },
    { "no-scale", "the factor 1/n of the transform is missing" },
    { "scaled", "a factor 1/n too much: the transform asked for has none" },
    { "ortho", "the orthonormal transform (norm=\"ortho\") instead of the one asked for" },
    { "half", "the factor 2 of the cosine and sine transforms is missing" },
    { "axes-swapped", "the axes are taken in the reverse order" },
    { "pixel-units", "coefficients of vectors of pixels, not of functions: a factor sqrt(points)" },
    { "nodes", "the points are taken at i/(n-1), both ends included, not where they are" },
    { "from-upper", "the plane k = 0 of the half spectrum is made Hermitian before the inverse" },
    { "no-2pi", "the wave number is k where it is 2 pi k (pi k on half waves)" },
    { "per-pixel", "the wave number is one per pixel, pi k/n: eigenvalues move with the grid, as "
     "in the "
      "noise of DBFS and HDM" },
    { "no-half-d", "the exponent lacks d/2: nu for nu + d/2" },
    { "deviation", "a deviation is used where the variance belongs, or is given for it" },
    { "variance", "a variance is used where the deviation belongs, as in the noise of DDO's ladder "
      "read as a standard deviation" },
    { "ortho-law", "eigenvalues times the number of points: the law of an orthonormal transform of "
      "pixels, another one on each grid, as in the released multilevelDiff, FDP and HDM" },
    { "unsquared", "the distance in the kernel is not squared: exp(-r/2l^2), a rough field, as in "
      "the \"RBF\" of DiffusionOperators and FunDPS" },
    { "no-two-in-kernel", "the kernel is exp(-r^2/l^2), without the 2" },
    { "nyquist-kept", "Nyquist modes carry noise; they do not belong to a function" },
    { "nyquist-half", "of the wave that is the new grid's Nyquist mode half is kept, one of its "
      "two bins, as where an rfft is cut off" },
    { "nyquist-dropped", "Nyquist modes are left out of the convolution" },
    { "nyquist-twice", "the Nyquist mode of the last axis counts twice" },
    { "no-grid-factor", "white noise of pixels is filtered without the factor sqrt(points): the "
      "variance falls as the grid is refined, as in the priors of multilevelDiff" },
    { "words-swapped", "the two words of the key are swapped" },
    { "sine-cosine", "sine and cosine are exchanged in Box and Muller's transform" },
    { "seven-rounds", "seven rounds of Philox, not ten" },
    { "odd-shift", "on axes of odd length the modes come out one too low: the inverse of fftshift "
      "is ifftshift; as in neuraloperator 1.0 to 2.0" },
    { "low-bins", "an odd number of modes on an even axis is taken one bin too low, as in "
      "neuraloperator before 2.0" },
    { "negative-rows", "the weights of negative modes act one row too high" },
    { "fft-order", "the rows of the weights are taken as 0, 1, .., -1, not in ascending order" },
    { "last-bins", "the last bins of the half spectrum are taken for negative modes: the layer "
     "acts "
      "on the highest ones, as in csgm" },
    { "conjugate-weights", "the weights are conjugated" },
    { "channels-swapped", "the weights' channels in and out are swapped" },
    { "no-mirror", "the mirror images of the modes on the last axis are missing: half of the sum" },
    { "no-adjoint", "the gradient has the weights themselves, where their conjugates belong" },
    { "no-transpose", "the gradient does not swap the channels in and out" },
    { "no-temperature", "the scores of attention are not divided by sqrt(d/heads)" },
    { "full-width", "the scores of attention are divided by sqrt(d), where d/heads belongs" },
    { "interleaved", "heads take every so many columns; they are blocks of columns" },
    { "other-axis", "softmax runs over the queries, not over the keys" },
    { "no-weights", "the quadrature weights of the keys are left out" },
    { "after-softmax", "quadrature weights multiply the probabilities, which then do not sum to "
     "1" },
    { "gelu-tanh", "GELU by the tanh formula; it is x Phi(x)" },
    { "ends-included", "coordinates run from 0 to 1 with both ends, linspace(0, 1, n); they are "
      "i/n, as in the original FNO, FFM and multilevelDiff" },
    { "ends-open", "coordinates are i/n; here they include both ends" },
    { "time-small", "time is divided by 1000 once more, as in FFM, whose network then hardly sees "
      "it" },
    { "act-last", "an activation follows the last layer, too" },
    { "act-half", "only the first half of the layers has an activation, as in neuraloperator 0.2" },
    { "position-shift", "positions are one token off: the code takes another token for that of "
      "time, as in FDP's U-ViT" },
    { "sine-first", "the embedding of time has sines before cosines" },
    { "no-skips", "the long skips of the U-ViT are missing" },
    { "reversed-time", "time runs the other way: t is taken as tmax - t" },
    { "no-half-rate", "the factor 1/2 of the drift is missing: exp(-B) for exp(-B/2)" },
    { "integral", "the integral of the rate lacks a factor 1/2: (b1 - b0) t^2 for half of it" },
    { "root-rate", "the noise rate is given as its root, the diffusion coefficient" },
    { "level-off", "levels are counted from 0, so that each has the number of the one before" },
    { "half-log", "half of it, log(m/sqrt(v)), as in DPM-Solver" },
    { "from-zero", "the variance is s(t)^2 - s(0)^2: the exact law of the equation from t = 0" },
    { "noise-as-score", "the predicted noise is given as score, without 1/sigma; as in FFM's DDO" },
    { "sign", "the sign is wrong" },
    { "swapped", "the factors m and sqrt(v) are exchanged" },
    { "other-direction", "the velocity points from data to noise; here from noise to data" },
    { "not-preconditioned", "the score is grad log p, without the covariance in front of it" },
    { "ode-for-sde", "the drift has half the score, which is that of the probability flow" },
    { "sde-for-ode", "the drift has the whole score, which is that of the reverse SDE" },
    { "coefficients-late", "the coefficients are those of the end of the step, not of its begin" },
    { "posterior-variance", "the noise has the posterior variance, not that of the forward step" },
    { "forward-variance", "the noise has the forward step's variance, not the posterior's" },
    { "no-noise", "the noise of the step is missing" },
    { "last-noise", "the last step adds noise, too, which stays in the result" },
    { "white-noise", "the noise is white noise of the points, where C^(1/2) of it is wanted: "
      "another law on each grid" },
    { "unit-start", "the start is N(0, C), without the deviation sqrt(v) of the first time" },
    { "no-final", "the denoising at the end is left out: the last state is given, not D of it" },
    { "told-late", "the model is told the time at the end of the step, not that of its state" },
    { "stride", "the step goes to the level below, not to the next one of the sampler's times" },
    { "forward-drift", "the linear part of the drift has the sign of the forward equation" },
    { "one-stage", "the stages after the first are left out: Euler's step" },
    { "equal-steps", "the last two D are extrapolated as if all steps in log m/sqrt(v) were "
      "equal" },
    { "corrector-first", "the corrector runs before the predictor, as in most codes; asked is the "
      "paper's order" },
    { "corrector-last", "the corrector runs after the predictor; asked is the order of the codes" },
    { "prior-variance", "the covariance of x0 given x_t is taken as v C, as in Pi-GDM; asked is "
      "the exact one" },
    { "brownian", "the linear part -A x is left out: the bridge is that of Brownian motion" },
    { "euler-drift", "the drift towards the end is held fixed over a step (Euler's): right for "
      "short steps only" },
    { "no-root-2", "the noise lacks a factor sqrt(2): sqrt(h) for sqrt(2h)" },
    { "root-2", "the noise has a factor sqrt(2) too much" },
    { "half-drift", "the drift has half the step" },
    { "no-covariance", "the gradient is not multiplied by the covariance, as in DPS, FunDPS and "
      "DAPS as released: another law on each grid" },
    { "no-quadrature", "the factor 1/n of the integral (the weight of a grid point) is missing" },
    { "extra-quadrature", "the matrix C/n stands where C belongs, next to the noise's variance" },
    { "standard-rule", "steps follow the variance; NCSN's rule is for deviations, and DDO's takes "
      "the square" },
    { "ladder-rule", "steps follow the square of the variance, as DDO's; asked is the scale-free "
      "rule" },
    { "replaced", "observed values are replaced (projection in L2): no other point moves" },
    { "noise-ignored", "the noise of the observation is ignored" },
    { "prior-spread", "the spread is that of the prior" },
    { "no-constant", "the density lacks its constant, m/2 log 2 pi" },
    { "with-self", "pairs of a sample with itself are counted (the V-statistic)" },
    { "root", "the root is given; asked is the square" },
    { "pixel-norm", "norms are sums over pixels, without 1/n: they grow with the grid" },
    { "half-cross", "the term between the two sets counts once, not twice" },
    { "no-spread", "the term of pairs of the ensemble is left out: the mean absolute error" },
    { "raw-transform", "the spectrum is that of the unnormalised transform, n^2 times as much" },
    { "complex-sum", "complex coefficients are summed before the square: phases are measured, as "
      "in FFM's spectrum" },
    { "no-means", "the difference of the means is left out" },
    { "biased", "covariances have 1/n, not 1/(n-1)" },
    { "fair", "the fair score: pairs over m(m-1), not m^2" },
    { "ends-swapped", "the two ends are exchanged: time runs from the second to the first" },
    { "noise-slope", "the velocity lacks the noise's part, its factor's slope times z: that of a "
      "path without noise, or with a constant one" },
    { "no-score", "the drift lacks the score's part: the flow, with noise added to it" },
    { "centred", "the means are left out, as if both laws had mean 0" },
    { "no-drift", "the drift lacks the equation's own part -A X; the pull to the end is all" },
    { "linear-sign", "the equation's own part of the drift has the wrong sign, +A X" },
    { "no-decay", "the pull to the end starts at X, where e^-A(T-t) X belongs" },
    { "decayed", "the covariance is that of e^-AT X_0 with X_T, not that of X_0" },
    { "transport", "the coupling is that of optimal transport, without the process's noise" },
    { "independent", "the ends are independent: the first coupling of the iteration, not its "
      "limit" },
    { "correlation", "the correlation is given for the covariance" },
    { "from-start", "the law of the end is that of a path from time 0, not from t on" },
    { "no-determinant", "half the log determinant is missing: the least cost of a path, not of a "
      "law" },
    { "with-constant", "it is -log of the density of y, not -log E exp(-misfit): the constant of "
      "the observation's noise is in it" },
    { "no-correction", "the term -h/2 |d|^2 is missing: the weights do not have mean 1" },
    { "no-half", "a factor 1/2 is missing" },
    { "l2-norm", "the norm is that of L2, where that of Cameron and Martin, sum x^2/lam, belongs: "
      "it has no limit as the grid is refined" },
    { "multiplied", "the eigenvalues multiply where they should divide" },
    { "no-root", "x0 is multiplied by m^2, not by m: alpha-bar where its root belongs" },
    { "data-variance", "the variance of the data stands where their deviation belongs" },
    { "not-divided", "x is not divided by m before it is scaled, which VE does not need" },
    { "no-skip", "the term c_skip x is missing" },
    { "skip-of-noise", "c_skip has the noise's share of the variance, not the data's" },
    { "raw-target", "the network is told to say x0, without c_skip and c_out" },
    { "no-weight", "the weight of the loss is 1, not 1/c_out^2" },
    { "inverse", "the inverse is given" },
    { "not-averaged", "the velocity at t is given, not its average from r to t" },
    { "displacement", "the whole displacement is given, not divided by t - r" },
    { "one-short", "the list is divided as if it had one step more" },
    { "no-rho", "steps are equal in sigma: rho is left out" },
    { "inverse-rho", "the power is rho, where 1/rho belongs" },
    { "in-time", "the rule is applied to t, not to the noise level" },
    { "log-variance", "steps are equal in log v, not in log m^2/v" },
    { "plain-linear", "beta is linear; asked is another schedule (scaled linear: its root is)" },
    { "no-offset", "the offset s of the cosine is missing" },
    { "not-cut", "beta is not cut at .999" },
    { "no-product", "gamma is 1 - beta of the level alone, not the product of all up to it" },
    { "linear", "values between points are linear interpolations, not those of the function" },
    { "corners", "ends are laid on ends (align_corners): the function is stretched" },
    { "as-periodic", "the axis is taken for periodic" },
    { "no-jacobian", "the derivative of the model is taken as the identity" },
    { "no-level", "the factor v/m of the guidance is missing" },
    { "one-more", "the scale counts from 0: (1 + w) Dc - w Du, as in the paper; asked is the scale "
      "of most codes, 1 + w" },
    { "models-swapped", "the model with the label and the one without it are exchanged" },
    { "added", "the model without the label is added, not subtracted" },
    { "bits", "the logarithm is to the base 2; asked are nats" },
    { "per-mode", "it is divided by the number of modes" },
    { "of-values", "the density is that of the values at the points, not of the coefficients: a "
      "factor sqrt(points) for each mode" },
    { "no-divergence", "the integral of the divergence is missing" },
    { "start-of-data", "the start has the law of the noised data; asked is N(0, v C), from which "
      "samplers start" },
    { "grid-norms", "norms run over all modes of the grid, as released: the step then changes "
      "with the grid" },
    { "upside-down", "the answer in reverse order" },
};

static inline const char *fault_text(const char *id)
{
    for (int i = 0; i < COUNT(fault_list); i++)
        if (!strcmp(fault_list[i].id, id)) return fault_list[i].text;
    return NULL;
}
#endif
