/* options.h -- the flags of all commands: tables by which they are read, checked and explained, and
 * the values that they give. */
#ifndef OPTIONS_H
#define OPTIONS_H
#include "specs.h"

enum { CHANNELS = 64 };                                    /* most of a function */
typedef struct { int nd, n[3]; } shape;                    /* nd 0: not given */
typedef struct {
    const char *file, *data, *out, *model, *resume, *log, *png, *path, *samples, *outdir, *labels,
        *modes, *obs, *coarse, *blur, *state, *from, *to, *base, *pairs, *reward, *table, *group,
        *cmd, *middle;
    spec condition, between, couple, op, exact;
    spec cov, target, process, net, predict, precond, weight, norm, law, flip, optimizer, scheme,
        times, start, corrector, map, as, prior, method, observe, normalize, heat, policy;
    shape grid;
    int bc[3], axes, channels, n, limit, steps, batch, warmup, save, threads, first, denoise, raw,
        bins, pcs, accumulate, train, probes, draws, quiet, conditions, well, help, rounds, epochs,
        list;
    uint64_t seed;
    double noise, time, lr, lr_end, decay, clip, clip_each, ema, eta, churn, tol, law_tol, budget,
        memory;
    double beta, ratio;                                    /* of fd tune */
    double timeout, alpha;
    double drop, guidance; int label;
    /* in an experiment: all flags, as text */
    const char *how;
} args;

enum { TRAIN = 1, SAMPLE = 2, NOISE = 4, EVAL = 8, INFO = 16, DEMO = 32, CERTIFY = 64,
       ORDERS = 128, CHOICE = 256, THESIS = 512, CONVERT = 1024, LOGLIK = 2048, POSTERIOR = 4096,
       CALIBRATE = 8192, BRIDGE = 16384, TUNE = 32768, DATA = 65536, VECTORS = 131072,
       CONFORM = 262144, JUDGE = 524288, ALL = 1048575 };
enum { O_YES, O_INT, O_REAL, O_SEED, O_SIZE, O_TEXT, O_OUT, O_GRID, O_BOUNDARY, O_AXES, O_SPEC };
typedef struct {
    const char *name, *arg, *def;                          /* def NULL: none */
    int of, kind;                                          /* commands; O_* */
    size_t at;                                             /* in args */
    const topic *t;
    double lo, hi;
    const char *help;
} option;
#define AT(f) offsetof(args, f)

static const option options[] = {
    { "out", "FOLDER", NULL, VECTORS, O_TEXT, AT(out), 0, 0, 0,
      "where the vectors go (-o)" },
    { "list", NULL, NULL, VECTORS, O_YES, AT(list), 0, 0, 0,
      "say which groups there are, and write nothing" },
    { "group", "NAME", NULL, VECTORS | CONFORM, O_TEXT, AT(group), 0, 0, 0,
      "this group alone (fd vectors --list)" },
    { "cmd", "COMMAND", NULL, CONFORM, O_TEXT, AT(cmd), 0, 0, 0,
      "the program, as in 'python3 client.py {in} {out}'; paths come in quotes" },
    { "timeout", "SECONDS", "60", CONFORM, O_REAL, AT(timeout), 0, 1e-3, 1e6,
      "most time for one case" },
    { "tol", "X", "0", CONFORM, O_REAL, AT(tol), 0, 0, 1,
      "least tolerance, of the answer's size: 1e-4 for a program in float and vectors in double" },
    { "law", "NAME", "gauss", JUDGE, O_SPEC, AT(exact), &t_exact, 0, 0,
      "what law: gauss, mixture or posterior (fd help law)" },
    { "cov", "SPEC", "matern:nu=1.5,l=0.1", JUDGE, O_SPEC, AT(cov), &t_cov, 0, 0,
      "covariance of the law, of each component, or of the prior (fd help cov)" },
    { "mean", "FILE", NULL, JUDGE, O_TEXT, AT(middle), 0, 0, 0,
      "the mean, or those of the mixture, one function each" },
    { "obs", "FILE", NULL, JUDGE, O_TEXT, AT(obs), 0, 0, 0,
      "of a posterior: x[,y[,z]],value[,channel][,sd], a line each" },
    { "noise", "SD", "0", JUDGE, O_REAL, AT(noise), 0, 0, 1e30,
      "standard deviation of the observations, where the file has no column sd" },
    { "alpha", "P", "1e-3", JUDGE, O_REAL, AT(alpha), 0, 0, 1,
      "status 1 where the least p-value times their number is below" },
    { "model", "FILE", NULL, BRIDGE, O_TEXT, AT(model), 0, 0, 0,
      "what fd train --pairs wrote: go with it from the functions of --from, instead of --to" },
    { "model", "FILE", NULL, TUNE, O_TEXT, AT(model), 0, 0, 0,
      "what fd train, or fd tune, wrote" },
    { "reward", "SPEC", NULL, TUNE, O_TEXT, AT(reward), 0, 0, 0,
      "of a function (fd help reward), or .csv: x[,y[,z]],value[,sd]" },
    { "noise", "SD", "0", TUNE, O_REAL, AT(noise), 0, 0, 1e30,
      "standard deviation of the values of a .csv" },
    { "beta", "X", "1", TUNE, O_REAL, AT(beta), 0, 0, BIG,
      "aim at the law p e^(beta reward): 1/beta weighs the KL to the first model; 0: no KL" },
    { "method", "NAME", "ddpo", TUNE, O_SPEC, AT(policy), &t_policy, 0, 0,
      "ddpo, reinforce or rwr (fd help tuning)" },
    { "clip", "X", "0.2", TUNE, O_REAL, AT(ratio), 0, 1e-6, 1,
      "of ddpo: how far the ratio of a step may move from 1" },
    { "rounds", "N", "100", TUNE, O_INT, AT(rounds), 0, 1, 1e6,
      "how often functions are drawn and rewarded" },
    { "epochs", "N", "0", TUNE, O_INT, AT(epochs), 0, 0, 1000,
      "updates of each round; 0: 4, of reinforce 1" },
    { "batch", "N", "32", TUNE, O_INT, AT(batch), 0, 2, 1e6,
      "functions of a round" },
    { "lr", "X", "1e-3", TUNE, O_REAL, AT(lr), 0, 1e-30, 1e3,
      "learning rate" },
    { "steps", "N", "20", TUNE, O_INT, AT(steps), 0, 2, 1e4,
      "steps of a path; of rwr the times that it learns at" },
    { "scheme", "NAME", "ancestral", TUNE, O_SPEC, AT(scheme), &t_scheme, 0, 0,
      "one step: of one evaluation, with noise" },
    { "eta", "X", "1", TUNE, O_REAL, AT(eta), 0, 0, 1,
      "randomness of ddim and eta-euler, 0 to 1" },
    { "n", "N", "64", TUNE, O_INT, AT(n), 0, 2, 1e6,
      "samples that are compared before and after (-n)" },
    { "out", "FILE", "tuned.safetensors", TUNE, O_OUT, AT(out), 0, 0, 0,
      "the model (-o)" },
    { "csv", "FILE", NULL, TUNE, O_OUT, AT(log), 0, 0, 0,
      "the rounds" },
    { "png", "FILE", NULL, TUNE, O_OUT, AT(png), 0, 0, 0,
      "picture: samples before, and the same noise after" },
    { "from", "FILE", NULL, BRIDGE, O_TEXT, AT(from), 0, 0, 0,
      "functions at time 0, of the grid; without it 0" },
    { "to", "FILE", NULL, BRIDGE, O_TEXT, AT(to), 0, 0, 0,
      "functions at the end, or .csv: x[,y[,z]],value[,sd] of one" },
    { "double-well", NULL, NULL, BRIDGE, O_YES, AT(well), 0, 0, 0,
      "instead: dX = -V' dt + dW, V = (x^2 - 1)^2, from -1 to 1; --time 4 --steps 128 by default" },
    { "operator", "SPEC", "heat", BRIDGE, O_SPEC, AT(heat), &t_operator, 0, 0,
      "A of dX = -A X dt + dW (fd help operator)" },
    { "time", "T", "1", BRIDGE, O_REAL, AT(time), 0, 1e-9, 1e9,
      "how long a path takes" },
    { "noise", "SD", "0", BRIDGE, O_REAL, AT(noise), 0, 0, 1e30,
      "standard deviation of the values of a .csv" },
    { "n", "N", "16", BRIDGE, O_INT, AT(n), 0, 1, 1e6,
      "how many paths; with --model at most as many as --from has, unless it is given" },
    { "steps", "N", "50", BRIDGE, O_INT, AT(steps), 0, 1, 1e6,
      "times of a path; each step is exact" },
    { "grid", "N[xM[xK]]", NULL, BRIDGE, O_GRID, AT(grid), 0, 0, 0,
      "points of the functions" },
    { "boundary", "NAME[,..]", "dirichlet", BRIDGE, O_BOUNDARY, AT(bc), 0, 0, 0,
      "boundaries of the axes" },
    { "cov", "SPEC", "matern:nu=0.5,l=0.2", BRIDGE, O_SPEC, AT(cov), &t_cov, 0, 0,
      "covariance Q of the noise W" },
    { "out", "FILE", "bridge.npy", BRIDGE, O_OUT, AT(out), 0, 0, 0,
      "paths [n][steps + 1][points]; with --model the ends" },
    { "png", "FILE", NULL, BRIDGE, O_OUT, AT(png), 0, 0, 0,
      "picture: on a line each path with time downwards, else a row of frames" },
    { "map", "NAME", "viridis", BRIDGE, O_SPEC, AT(map), &t_map, 0, 0,
      "colours" },
    { "model", "FILE", NULL, POSTERIOR | CALIBRATE, O_TEXT, AT(model), 0, 0, 0,
      "prior: what fd train wrote; or" },
    { "prior", "SPEC", "matern:nu=1.5,l=0.3", POSTERIOR | CALIBRATE, O_SPEC, AT(prior), &t_cov, 0,
      0, "prior: Gaussian, of this covariance (fd help cov); with --model what its data are known "
         "to be" },
    { "obs", "FILE", NULL, POSTERIOR, O_TEXT, AT(obs), 0, 0, 0,
      "observations: x[,y[,z]],value[,channel][,sd], a line each; or MASK.npy:VALUES.npy" },
    { "coarse", "FILE", NULL, POSTERIOR, O_TEXT, AT(coarse), 0, 0, 0,
      "or: values on a coarser grid of the domain, .npy" },
    { "blur", "W:FILE", NULL, POSTERIOR, O_TEXT, AT(blur), 0, 0, 0,
      "or: the function under a Gaussian blur of width W at every point of the grid, .npy" },
    { "op", "SPEC", NULL, POSTERIOR | CALIBRATE, O_SPEC, AT(op), &t_op, 0, 0,
      "observed is the solution of an equation that the function enters (fd help op)" },
    { "state", "FILE", NULL, POSTERIOR, O_OUT, AT(state), 0, 0, 0,
      "of chains, .safetensors: go on from it where it exists, and write it at the end" },
    { "observe", "SPEC", "points:m=8", CALIBRATE, O_SPEC, AT(observe), &t_observe, 0, 0,
      "what is observed (fd help observe)" },
    { "noise", "SD", "0", POSTERIOR, O_REAL, AT(noise), 0, 0, 1e30,
      "standard deviation of the noise, where the file has no column sd" },
    { "noise", "SD", "0.05", CALIBRATE, O_REAL, AT(noise), 0, 0, 1e30,
      "standard deviation of the noise" },
    { "method", "SPEC", "exact", POSTERIOR | CALIBRATE, O_SPEC, AT(method), &t_method, 0, 0,
      "how functions are drawn (fd help method)" },
    { "n", "N", "64", POSTERIOR, O_INT, AT(n), 0, 1, 1e6,
      "functions to draw" },
    { "n", "N", "200", CALIBRATE, O_INT, AT(n), 0, 16, 1e6,
      "unknown functions to test with" },
    { "draws", "N", "63", CALIBRATE, O_INT, AT(draws), 0, 7, 1e5,
      "functions drawn for each" },
    { "out", "FILE", "posterior.npy", POSTERIOR, O_OUT, AT(out), 0, 0, 0,
      "the functions (-o)" },
    { "out", "FILE", NULL, CALIBRATE, O_OUT, AT(out), 0, 0, 0,
      "the ranks as .csv (-o)" },
    { "csv", "FILE", NULL, CALIBRATE, O_OUT, AT(log), 0, 0, 0,
      "the same" },
    { "png", "FILE", NULL, CALIBRATE, O_OUT, AT(png), 0, 0, 0,
      "picture of the ranks" },
    { "png", "FILE", NULL, POSTERIOR, O_OUT, AT(png), 0, 0, 0,
      "mean, deviation and draws" },
    { "grid", "N[xM[xK]]", NULL, POSTERIOR | CALIBRATE, O_GRID, AT(grid), 0, 0, 0,
      "points of each axis; default: those of training" },
    { "boundary", "NAME[,..]", "neumann", POSTERIOR | CALIBRATE, O_BOUNDARY, AT(bc), 0, 0, 0,
      "of a Gaussian prior: one for all axes, or one each (fd help boundary)" },
    { "cov", "SPEC", "matern:nu=1.5,l=0.3", POSTERIOR | CALIBRATE, O_SPEC, AT(cov), &t_cov, 0, 0,
      "covariance of the sampler's noise; default: that of the prior" },
    { "process", "SPEC", "vp", POSTERIOR | CALIBRATE, O_SPEC, AT(process), &t_process, 0, 0,
      "forward process of a Gaussian prior (fd help process)" },
    { "steps", "N", "100", POSTERIOR | CALIBRATE, O_INT, AT(steps), 0, 1, 1e6,
      "steps of sampling" },
    { "scheme", "NAME", "ancestral", POSTERIOR | CALIBRATE, O_SPEC, AT(scheme), &t_scheme, 0, 0,
      "one step of the sampler (fd help scheme)" },
    { "times", "SPEC", "auto", POSTERIOR | CALIBRATE, O_SPEC, AT(times), &t_times, 0, 0,
      "times of the sampler (fd help times)" },
    { "eta", "X", "0", POSTERIOR | CALIBRATE, O_REAL, AT(eta), 0, 0, 1,
      "randomness of ddim and eta-euler, 0 to 1" },
    { "batch", "N", "16", POSTERIOR | CALIBRATE, O_INT, AT(batch), 0, 1, 1e6,
      "functions at a time; changes memory and speed, not results" },
    { "data", "FILE", NULL, CALIBRATE, O_TEXT, AT(data), 0, 0, 0,
      "with --model: the unknown functions; default: draws of --prior, if given, or the model" },
    { "map", "NAME", "viridis", POSTERIOR, O_SPEC, AT(map), &t_map, 0, 0,
      "colours (fd help map)" },
    { "data", "FILE", NULL, TRAIN | NOISE | DEMO, O_TEXT, AT(data), 0, 0, 0,
      "a file of functions, file:member, a folder of pictures; or fields (fd help fields)" },
    { "data", "FILE", NULL, EVAL, O_TEXT, AT(data), 0, 0, 0,
      "real functions, or fields" },
    { "data", "FILE", NULL, THESIS, O_TEXT, AT(data), 0, 0, 0,
      "images; the last sixth is not trained on" },
    { "table", "NAME", NULL, THESIS, O_TEXT, AT(table), 0, 0, 0,
      "only this one: 5.1, 5.2, 5.3, text or ours" },
    { "labels", "FILE", NULL, THESIS, O_TEXT, AT(labels), 0, 0, 0,
      "0 to 9 for each image, .npy or IDX: for the classifier" },
    { "labels", "FILE", NULL, TRAIN, O_TEXT, AT(labels), 0, 0, 0,
      "a whole number from 0 for each function, in any file of --data: told to the network" },
    { "drop", "P", "0.1", TRAIN, O_REAL, AT(drop), 0, 0, 1,
      "share of functions whose label is not told: for fd sample --guidance" },
    { "label", "N", "-1", SAMPLE, O_INT, AT(label), 0, -1, 65534,
      "of the functions, where the model was trained with --labels; -1: any" },
    { "guidance", "W", "0", SAMPLE, O_REAL, AT(guidance), 0, -1, 1e3,
      "with --label: D + W (D - D told nothing); 0: the label's own law" },
    { "samples", "FILE", NULL, EVAL, O_TEXT, AT(samples), 0, 0, 0,
      "what fd sample wrote" },
    { "model", "FILE", NULL, SAMPLE, O_TEXT, AT(model), 0, 0, 0,
      "what fd train wrote" },
    { "data", "FILE", NULL, LOGLIK, O_TEXT, AT(data), 0, 0, 0,
      "functions, or fields; without --model the default is draws of the target" },
    { "model", "FILE", NULL, LOGLIK, O_TEXT, AT(model), 0, 0, 0,
      "what fd train wrote, instead of an exact model" },
    { "model", "FILE", NULL, CERTIFY, O_TEXT, AT(model), 0, 0, 0,
      "what fd train wrote, instead of an exact model: by samples" },
    { "out", "FILE", "model.safetensors", TRAIN, O_OUT, AT(out), 0, 0, 0,
      "the model (-o)" },
    { "out", "FILE", "samples.npy", SAMPLE, O_OUT, AT(out), 0, 0, 0,
      "the samples (-o)" },
    { "out", "FILE", "data.npy", DATA, O_OUT, AT(out), 0, 0, 0,
      "the functions (-o)" },
    { "obs", "FILE", NULL, DATA, O_OUT, AT(obs), 0, 0, 0,
      "what goes with them: solutions, sinograms, or states at the start" },
    { "boundary", "NAME[,..]", "periodic", DATA, O_BOUNDARY, AT(bc), 0, 0, 0,
      "of field and mixture; the others have their own" },
    { "cov", "SPEC", "matern:nu=1.5,l=0.1", DATA, O_SPEC, AT(cov), &t_cov, 0, 0,
      "of field (fd help cov)" },
    { "out", "FILE", "noise.npy", NOISE, O_OUT, AT(out), 0, 0, 0,
      "the functions (-o)" },
    { "out", "FILE", NULL, EVAL, O_OUT, AT(out), 0, 0, 0,
      "the table as .csv (-o)" },
    { "out", "FILE", NULL, CERTIFY, O_OUT, AT(out), 0, 0, 0,
      "the spectra as .csv (-o)" },
    { "out", "FILE", NULL, LOGLIK, O_OUT, AT(out), 0, 0, 0,
      "the densities as .csv (-o)" },
    { "out", "FILE", NULL, ORDERS, O_OUT, AT(out), 0, 0, 0,
      "the errors as .csv (-o)" },
    { "out", "FILE", "model.safetensors", CONVERT, O_OUT, AT(out), 0, 0, 0,
      "the network (-o); with a name that ends in .npz the tensors as they are" },
    { "as", "SPEC", "auto", CONVERT, O_SPEC, AT(as), &t_as, 0, 0,
      "the program, and what its files cannot tell (fd help as)" },
    { "grid", "N[xM[xK]]", NULL, CONVERT, O_GRID, AT(grid), 0, 0, 0,
      "points of each axis: makes a model for fd sample and fd certify" },
    { "predict", "NAME", "noise", CONVERT, O_SPEC, AT(predict), &t_predict, 0, 0,
      "with --grid: x0, noise, score, v, velocity" },
    { "outdir", "FOLDER", "out/choice", CHOICE, O_TEXT, AT(outdir), 0, 0, 0,
      "where everything goes" },
    { "outdir", "FOLDER", "out/thesis", THESIS, O_TEXT, AT(outdir), 0, 0, 0,
      "where everything goes" },
    { "outdir", "FOLDER", "out/demo", DEMO, O_TEXT, AT(outdir), 0, 0, 0,
      "where everything goes" },
    { "resume", "FILE", NULL, TRAIN, O_TEXT, AT(resume), 0, 0, 0,
      "go on with this model: its settings, its optimiser" },
    { "log", "FILE", NULL, TRAIN, O_OUT, AT(log), 0, 0, 0,
      "loss by step, .csv" },
    { "by-mode", "FILE", NULL, TRAIN, O_OUT, AT(modes), 0, 0, 0,
      "error of x0 by wavenumber beside that of the best linear denoiser, .csv" },
    { "png", "FILE", NULL, TRAIN, O_OUT, AT(png), 0, 0, 0,
      "the same drawn" },
    { "png", "FILE", NULL, SAMPLE | NOISE | DATA, O_OUT, AT(png), 0, 0, 0,
      "a sheet of the functions" },
    { "png", "FILE", NULL, CERTIFY, O_OUT, AT(png), 0, 0, 0,
      "the spectra" },
    { "png", "FILE", NULL, ORDERS, O_OUT, AT(png), 0, 0, 0,
      "error against evaluations" },
    { "path", "FILE", NULL, SAMPLE, O_OUT, AT(path), 0, 0, 0,
      "a sheet of the way from noise to sample, .png" },
    { "grid", "N[xM[xK]]", NULL, DATA, O_GRID, AT(grid), 0, 0, 0,
      "points of each axis" },
    { "grid", "N[xM[xK]]", NULL, TRAIN | NOISE | EVAL | DEMO, O_GRID, AT(grid), 0, 0, 0,
      "points of each axis; default: those of the data" },
    { "grid", "N[xM[xK]]", NULL, SAMPLE, O_GRID, AT(grid), 0, 0, 0,
      "points of each axis; default: those of training" },
    { "grid", "N[xM[xK]]", NULL, CERTIFY, O_GRID, AT(grid), 0, 0, 0,
      "the first grid, n; default: 32, or that of training" },
    { "grid", "N[xM[xK]]", "16", ORDERS, O_GRID, AT(grid), 0, 0, 0,
      "points of each axis" },
    { "grid", "N[xM[xK]]", NULL, LOGLIK, O_GRID, AT(grid), 0, 0, 0,
      "points of each axis; default: those of the data, of training, or 32" },
    { "boundary", "NAME[,..]", "neumann", DEMO, O_BOUNDARY, AT(bc), 0, 0, 0,
      "one for all axes, or one each (fd help boundary)" },
    { "boundary", "NAME[,..]", "periodic",
        TRAIN | NOISE | EVAL | CERTIFY | ORDERS | CONVERT | LOGLIK | JUDGE,
      O_BOUNDARY, AT(bc), 0, 0, 0,
      "one for all axes, or one each (fd help boundary)" },
    { "channels", "NAME", NULL, TRAIN | EVAL | DEMO | LOGLIK | THESIS | JUDGE, O_AXES, AT(axes),
      &t_axes,
      0, 0,
      "axis of the channels in files: first, last, none (fd help channels)" },
    { "channels", "N", NULL, NOISE, O_AXES, AT(axes), &t_axes, 0, CHANNELS,
      "how many; with --data: where they are, first, last, none (fd help channels)" },
    { "normalize", "NAME", "auto", TRAIN | DEMO, O_SPEC, AT(normalize), &t_normalize, 0, 0,
      "what a network sees of the data: none, scale, pixel (fd help normalize)" },
    { "normalize", "NAME", "auto", EVAL, O_SPEC, AT(normalize), &t_normalize, 0, 0,
      "with --raw: what the model was trained with" },
    { "cov", "SPEC", "matern:nu=1.5,l=0.1", NOISE | CERTIFY | ORDERS | LOGLIK, O_SPEC, AT(cov),
      &t_cov, 0, 0, "covariance of the noise (fd help cov)" },
    { "cov", "SPEC", "band", TRAIN | DEMO | CONVERT, O_SPEC, AT(cov), &t_cov, 0, 0,
      "covariance of the noise (fd help cov)" },
    { "target", "SPEC", "matern:nu=2.5,l=0.3", CERTIFY | ORDERS | LOGLIK, O_SPEC, AT(target),
      &t_cov, 0, 0, "covariance of the data" },
    { "process", "SPEC", "vp", CERTIFY | CONVERT | LOGLIK, O_SPEC, AT(process), &t_process, 0, 0,
      "forward process (fd help process)" },
    { "process", "SPEC", "vp:tmin=0.01", ORDERS, O_SPEC, AT(process), &t_process, 0, 0,
      "forward process (fd help process)" },
    { "process", "SPEC", "vp-cosine", TRAIN | DEMO, O_SPEC, AT(process), &t_process, 0, 0,
      "forward process (fd help process)" },
    { "net", "SPEC", "fno:modes=12,stencil=3", DEMO, O_SPEC, AT(net), &t_net, 0, 0,
      "network (fd help net)" },
    { "net", "SPEC", "fno", TRAIN, O_SPEC, AT(net), &t_net, 0, 0,
      "network (fd help net)" },
    { "precond", "SPEC", "gauss", TRAIN | DEMO, O_SPEC, AT(precond), &t_precond, 0, 0,
      "gauss or none (fd help precond)" },
    { "predict", "NAME", "x0", TRAIN | DEMO, O_SPEC, AT(predict), &t_predict, 0, 0,
      "with --precond none: x0, noise, score, v, velocity, score-half, score-full" },
    { "pairs", "A:B", NULL, TRAIN, O_TEXT, AT(pairs), 0, 0, 0,
      "instead of --data: learn the way from the functions of one file to those of another; "
      "--cov is then matern:nu=1,l=0.1,var=0.3 by default" },
    { "between", "SPEC", "bridge", TRAIN, O_SPEC, AT(between), &t_between, 0, 0,
      "what joins them: bridge, interpolant (fd help between)" },
    { "couple", "NAME", "random", TRAIN, O_SPEC, AT(couple), &t_couple, 0, 0,
      "which with which: random, paired, near" },
    { "condition", "SPEC", NULL, TRAIN, O_SPEC, AT(condition), &t_condition, 0, 0,
      "tell the network of observations: points, coarse, blur, mask (fd help condition)" },
    { "base", "NAME", "auto", TRAIN, O_TEXT, AT(base), 0, 0, 0,
      "what it then adds to: gauss, none, or the file of a model without observations" },
    { "weight", "NAME", "one", TRAIN | DEMO, O_SPEC, AT(weight), &t_weight, 0, 0,
      "of the loss: one, x0, noise, v, likelihood" },
    { "norm", "SPEC", "h", TRAIN | DEMO, O_SPEC, AT(norm), &t_norm, 0, 0,
      "of the loss: h, cm, stationary, sobolev:s=1, likelihood, step (fd help norm)" },
    { "time-law", "SPEC", "stratified", TRAIN | DEMO, O_SPEC, AT(law), &t_law, 0, 0,
      "of training times (fd help time-law)" },
    { "limit", "N", "0", TRAIN | NOISE | EVAL | DEMO | JUDGE, O_INT, AT(limit), 0, 0, INT_MAX,
      "use at most N functions of the data, chosen at random; 0: all" },
    { "steps", "N", "1000", TRAIN, O_INT, AT(steps), 0, 1, 1e9,
      "steps of training in all" },
    { "steps", "N", "50", LOGLIK, O_INT, AT(steps), 0, 1, 1e6,
      "steps of the flow, but for pf-adaptive, and of the bound" },
    { "steps", "N", "auto", SAMPLE | CERTIFY, O_INT, AT(steps), 0, 1, 1e6,
      "steps of sampling" },
    { "steps", "N", "50", CHOICE, O_INT, AT(steps), 0, 1, 1e6,
      "steps of sampling" },
    { "steps", "N", "512", ORDERS, O_INT, AT(steps), 0, 8, 1e5,
      "most steps; halved down to 4" },
    { "steps", "N", "20", DEMO, O_INT, AT(steps), 0, 1, 1e6,
      "steps of sampling" },
    { "steps", "N", "100", THESIS, O_INT, AT(steps), 0, 4, 1e6,
      "evaluations of a network for a sample" },
    { "train", "N", "3000", THESIS, O_INT, AT(train), 0, 1, 1e9,
      "steps of training of each network" },
    { "budget", "SECONDS", "0", TRAIN, O_REAL, AT(budget), 0, 0, 1e9,
      "train for so long instead of --steps; 0: no limit" },
    { "budget", "SECONDS", "180", DEMO, O_REAL, AT(budget), 0, 1, 1e9,
      "time for training" },
    { "batch", "N", "16", DEMO, O_INT, AT(batch), 0, 1, 1e6,
      "functions in a step of training" },
    { "batch", "N", "32", TRAIN | THESIS, O_INT, AT(batch), 0, 1, 1e6,
      "functions in a step of training" },
    { "batch", "N", "16", SAMPLE | CERTIFY | LOGLIK, O_INT, AT(batch), 0, 1, 1e6,
      "functions at a time; changes memory and speed, not results" },
    { "lr", "X", "6e-3", DEMO, O_REAL, AT(lr), 0, 1e-30, 1e3,
      "learning rate" },
    { "lr", "X", "4e-3", TRAIN, O_REAL, AT(lr), 0, 1e-30, 1e3,
      "learning rate" },
    { "lr", "X", "1e-3", THESIS, O_REAL, AT(lr), 0, 1e-30, 1e3,
      "learning rate" },
    { "lr-end", "X", "0", TRAIN | DEMO, O_REAL, AT(lr_end), 0, 0, 1e3,
      "rate at the last step, reached by a cosine" },
    { "warmup", "N", "50", TRAIN | DEMO, O_INT, AT(warmup), 0, 0, 1e9,
      "steps of rising rate" },
    { "decay", "X", "0", TRAIN | DEMO, O_REAL, AT(decay), 0, 0, 1e3,
      "weight decay" },
    { "clip", "X", "1", TRAIN | DEMO, O_REAL, AT(clip), 0, 0, BIG,
      "largest norm of the gradient; 0: any" },
    { "clip-each", "X", "0", TRAIN | DEMO, O_REAL, AT(clip_each), 0, 0, BIG,
      "then the largest entry of the gradient; 0: any" },
    { "optimizer", "SPEC", "adamw", TRAIN | DEMO, O_SPEC, AT(optimizer), &t_optimizer, 0, 0,
      "adamw, amsgrad, adabelief (fd help optimizer)" },
    { "accumulate", "N", "1", TRAIN | DEMO, O_INT, AT(accumulate), 0, 1, 1e6,
      "take a batch in N parts: less memory, the same gradient" },
    { "flip", "NAME", "none", TRAIN | DEMO, O_SPEC, AT(flip), &t_flip, 0, 0,
      "mirror data at random: none, last, all axes" },
    { "ema", "X", "0.999", TRAIN | DEMO, O_REAL, AT(ema), 0, 0, 0.999999999,
      "weight average that sampling uses: share kept each step" },
    { "save-every", "N", "0", TRAIN, O_INT, AT(save), 0, 0, 1e9,
      "write the model every N steps; 0: every 30 s, and at the end" },
    { "scheme", "NAME", "auto", SAMPLE | CERTIFY, O_SPEC, AT(scheme), &t_scheme, 0, 0,
      "one step of the sampler (fd help scheme); auto: by process (fd help process)" },
    { "scheme", "NAME", "pf-heun", DEMO, O_SPEC, AT(scheme), &t_scheme, 0, 0,
      "one step of the sampler (fd help scheme)" },
    { "scheme", "NAME", "pf-adaptive", LOGLIK, O_SPEC, AT(scheme), &t_scheme, 0, 0,
      "pf-heun, pf-midpoint, pf-rk4 or pf-adaptive" },
    { "times", "SPEC", "logsnr", ORDERS | CHOICE | LOGLIK, O_SPEC, AT(times), &t_times, 0, 0,
      "times of the sampler (fd help times)" },
    { "times", "SPEC", "auto", SAMPLE | CERTIFY | TUNE, O_SPEC, AT(times), &t_times, 0, 0,
      "times of the sampler (fd help times)" },
    { "times", "SPEC", "rho", DEMO, O_SPEC, AT(times), &t_times, 0, 0,
      "times of the sampler (fd help times)" },
    { "start", "NAME", "auto", SAMPLE | CERTIFY | TUNE, O_SPEC, AT(start), &t_start, 0, 0,
      "noise, unit or matched (fd help start)" },
    { "start", "NAME", "noise", LOGLIK, O_SPEC, AT(start), &t_start, 0, 0,
      "noise, unit or matched (fd help start)" },
    { "corrector", "SPEC", "none", SAMPLE | CERTIFY, O_SPEC, AT(corrector), &t_corrector, 0, 0,
      "Langevin steps (fd help corrector)" },
    { "churn", "X", "1", DEMO, O_REAL, AT(churn), 0, 0, 100,
      "after a step, go back by so much of it with noise, and again" },
    { "churn", "X", "0", SAMPLE | CERTIFY, O_REAL, AT(churn), 0, 0, 100,
      "after a step, go back by so much of it with noise, and again" },
    { "eta", "X", "0.5", ORDERS, O_REAL, AT(eta), 0, 0, 1,
      "randomness of eta-euler, 0 to 1" },
    { "eta", "X", "0", SAMPLE | DEMO | CERTIFY, O_REAL, AT(eta), 0, 0, 1,
      "randomness of ddim and eta-euler, 0 to 1" },
    { "denoise", "0|1", "1", SAMPLE | DEMO | CERTIFY, O_INT, AT(denoise), 0, 0, 1,
      "end with the model's mean" },
    { "probes", "N", "0", LOGLIK, O_INT, AT(probes), 0, 0, 1e4,
      "random vectors for the trace of the flow; 0: exact, for a network 8" },
    { "n", "N", "16", LOGLIK, O_INT, AT(n), 0, 1, 1e8,
      "how many functions at most (-n)" },
    { "n", "N", "16", SAMPLE | NOISE | DATA, O_INT, AT(n), 0, 1, 1e8,
      "how many functions (-n)" },
    { "n", "N", "64", CERTIFY, O_INT, AT(n), 0, 4, 1e6,
      "how many samples of a model (-n)" },
    { "tol", "X", "0", CERTIFY, O_REAL, AT(tol), 0, 0, 1e6,
      "most relative change that passes; 0: 1e-3, or 0.1 for a model" },
    { "bridge", "SPEC", NULL, CERTIFY, O_SPEC, AT(heat), &t_operator, 0, 0,
      "instead: bridges of dX = -A X dt + dW between functions of the target (fd help operator)" },
    { "conditions", NULL, NULL, CERTIFY, O_YES, AT(conditions), 0, 0, 0,
      "instead: what the theory asks of noise, process and data, and what of it holds" },
    { "law", "X", "0", CERTIFY, O_REAL, AT(law_tol), 0, 0, 1e6,
      "most relative difference of a wave's variance to the data's that passes; 0: any" },
    { "n", "N", "1000", EVAL, O_INT, AT(n), 0, 2, 1e8,
      "how many functions at most (-n)" },
    { "n", "N", "512", THESIS, O_INT, AT(n), 0, 33, 1e6,
      "how many samples of each row (-n)" },
    { "n", "N", "128", DEMO, O_INT, AT(n), 0, 16, 1e6,
      "how many samples for the figures (-n)" },
    { "first", "N", "0", SAMPLE | NOISE | DATA, O_INT, AT(first), 0, 0, 1e8,
      "number of the first function: 16 of 8 on are the last 8 of 16 and 8 more" },
    { "raw", NULL, NULL, SAMPLE | EVAL | LOGLIK, O_YES, AT(raw), 0, 0, 0,
      "values as the model has them, normalised" },
    { "pcs", "N", "32", EVAL | DEMO, O_INT, AT(pcs), 0, 1, 4096,
      "principal components of the Frechet distance" },
    { "map", "NAME", "viridis", SAMPLE | NOISE | TUNE | DATA, O_SPEC, AT(map), &t_map, 0, 0,
      "colours: gray, gray-inverse, viridis, diverging" },
    { "train", "STEPS", "0", CHOICE, O_INT, AT(train), 0, 0, 1e9,
      "train a network for each row, too" },
    { "seed", "N", "1", ALL & ~(INFO | CONVERT), O_SEED, AT(seed), 0, 0, 0,
      "all randomness comes from it" },
    { "threads", "N", "0", ALL & ~(INFO | CONVERT), O_INT, AT(threads), 0, 0, 1024,
      "0: as many as the machine has; results do not depend on it" },
    { "memory", "SIZE", NULL, ALL, O_SIZE, AT(memory), 0, 0, 0,
      "most memory to use, e.g. 512M; default: $FD_MEMORY or 8G" },
    { "help", NULL, NULL, ALL, O_YES, AT(help), 0, 0, 0,
      "this text (-h)" },
};
static char given[COUNT(options)];
static int command_now;                    /* of options_read */

/* is_offered -- does the command take such a flag? */
static inline int is_offered(const char *name)
{
    for (int i = 0; i < COUNT(options); i++)
        if ((options[i].of & command_now) && !strcmp(options[i].name, name)) return 1;
    return 0;
}

static inline int is_given(const char *name)
{
    for (int i = 0; i < COUNT(options); i++)
        if (given[i] && !strcmp(options[i].name, name)) return 1;
    return 0;
}

static inline shape grid_read(const char *flag, const char *text)
{
    shape g = { 0, { 1, 1, 1 } };
    const char *p = text;
    for (;;) {
        char *end;
        long v = isdigit((unsigned char)*p) ? strtol(p, &end, 10) : 0;
        if (v > 1 << 24) die(bad, "%s: '%s': more than 2^24 points on an axis", flag, text);
        if (v < 1 || g.nd == 3) break;
        g.n[g.nd++] = (int)v;
        if (!*end) {
            if ((double)g.n[0] * g.n[1] * g.n[2] > 1 << 28)
                die(bad, "%s: '%s': more than 2^28 points", flag, text);
            return g;
        }
        if (*end != 'x' && *end != 'X') break;
        p = end + 1;
    }
    die(bad, "%s: '%s': expected N, NxM or NxMxK", flag, text);
    return g;
}

static inline double size_read(const char *flag, const char *text)
{
    char *end;
    double v = strtod(text, &end);
    const char *unit = "KMGT", *u = *end ? strchr(unit, toupper((unsigned char)*end)) : NULL;
    if (u) { v = ldexp(v, 10 * (int)(u - unit + 1)); end++; }
    if (end == text || *end || !(v >= 65536 && v <= 1e15))
        die(bad, "%s: '%s': expected a size like 512M or 8G, 64K at least", flag, text);
    return v;
}

/* seed_read -- a whole number below 2^64, exactly. */
static inline uint64_t seed_read(const char *flag, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || errno || v > UINT64_MAX)
        die(bad, "%s: '%s': expected a whole number from 0 to %" PRIu64, flag, text, UINT64_MAX);
    return v;
}

static inline void boundary_read(const char *flag, const char *text, int bc[3])
{
    char buf[128];
    int n = 0;
    if (strlen(text) >= sizeof buf) die(bad, "%s: too long", flag);
    strcpy(buf, text);
    for (char *p = buf, *next; p; p = next) {
        next = strchr(p, ',');
        if (next) *next++ = 0;
        if (n == 3) die(bad, "%s: '%s': more than three axes", flag, text);
        bc[n++] = spec_read(&t_boundary, flag, p).row;
    }
    for (int i = n; i < 3; i++) bc[i] = bc[n - 1];
}

static inline void option_set(args *o, const option *p, const char *s)
{
    char *at = (char *)o + p->at, flag[64];
    double v = 0;
    sprintf(flag, "--%s", p->name);
    int by_process = p->kind == O_INT && p->def && !strcmp(p->def, "auto") && !strcmp(s, "auto");
    if ((p->kind == O_INT || p->kind == O_REAL) && !by_process) {
        int whole = p->kind == O_INT;
        if (!number(s, p->lo, p->hi, &v) || (whole && v != floor(v)))
            die(2, "--%s: '%s': expected a%s number from %.16g to %.16g", p->name, s,
                whole ? " whole" : "", p->lo, p->hi);
    }
    switch (p->kind) {
    case O_YES: *(int *)(void *)at = 1; break;
    case O_INT: *(int *)(void *)at = (int)v; break;
    case O_REAL: *(double *)(void *)at = v; break;
    case O_SEED: *(uint64_t *)(void *)at = seed_read(flag, s); break;
    case O_SIZE: *(double *)(void *)at = size_read(flag, s); break;
    case O_TEXT: case O_OUT:
        if (!*s) die(2, "%s: its %s is empty", flag, p->arg);
        *(const char **)(void *)at = s;
        break;
    case O_GRID: *(shape *)(void *)at = grid_read(flag, s); break;
    case O_AXES:
        o->channels = 0;
        if (p->hi > 0 && number(s, 1, p->hi, &v) && v == floor(v)) o->channels = (int)v;
        else o->axes = spec_read(p->t, flag, s).row;
        break;
    case O_BOUNDARY: boundary_read(flag, s, (int *)(void *)at); break;
    case O_SPEC: *(spec *)(void *)at = spec_read(p->t, flag, s); break;
    }
}

/* distance -- of two words: the fewest letters to insert, drop or change (Levenshtein). */
static inline int distance(const char *a, const char *b)
{
    int d[64], n = (int)strlen(b);
    if (n > 63) return 99;
    for (int j = 0; j <= n; j++) d[j] = j;
    for (; *a; a++) {
        int diag = d[0]++;
        for (int j = 1; j <= n; j++) {
            int best = diag + (*a != b[j - 1]);
            diag = d[j];
            if (d[j - 1] + 1 < best) best = d[j - 1] + 1;
            if (d[j] + 1 < best) best = d[j] + 1;
            d[j] = best;
        }
    }
    return d[n];
}

/* unknown -- names the flag and the three that are most like it, or all where there are fewer. */
static inline void unknown(int command, const char *word, const char *where)
{
    char list[128] = "";
    char used[COUNT(options)] = { 0 };
    for (int k = 0; k < 3; k++) {
        int best = -1, least = 0;
        for (int i = 0; i < COUNT(options); i++) {
            int d = distance(word, options[i].name);
            if (!(options[i].of & command) || used[i] || (best >= 0 && d >= least)) continue;
            best = i, least = d;
        }
        if (best < 0) break;
        used[best] = 1;
        strcat(strcat(list, k ? ", --" : "--"), options[best].name);
    }
    die(2, "--%s: unknown flag; nearest are %s; %s lists all", word, list, where);
}

static inline void options_help(int command)
{
    for (int i = 0; i < COUNT(options); i++) {
        const option *p = &options[i];
        char left[64];
        if (!(p->of & command)) continue;
        sprintf(left, "--%s %s", p->name, p->arg ? p->arg : "");
        printf("  %-23s %s", left, p->help);
        if (p->def && strcmp(p->def, "0")) printf(" [%s]", p->def);
        putchar('\n');
    }
}

/* format_check -- dies where the name of a file says another format than that which is written: a
 * default says it, or the name of the flag, or its help. --state is read as well, and says then
 * what it finds. */
static inline void format_check(const option *p, const char *path)
{
    static const char *const known[] = { "npy", "npz", "csv", "png", "safetensors", "json", "txt",
        "mat", "h5", "hdf5", "nc", "pt", "pkl", "zarr", "jpg", "jpeg", "pdf" };
    const char *dot = strrchr(path, '.'), *def = p->def ? strrchr(p->def, '.') : NULL;
    const char *is = def ? def + 1 : !strcmp(p->name, "png") || strstr(p->help, ".png") ? "png"
                   : !strcmp(p->name, "obs") ? "npy" : "csv";
    if (!strcmp(p->name, "state") || !dot || strchr(dot, '/') || !strcmp(dot + 1, is)) return;
    if (p->of == CONVERT && !strcmp(dot, ".npz")) return;
    if (!strcmp(is, "csv") && !strcmp(dot, ".txt")) return;
    for (int i = 0; i < COUNT(known); i++)
        if (!strcmp(dot + 1, known[i]))
            die(2, "--%s: '%s': what is written is .%s%s: name it so%s", p->name, path, is,
                p->of == CONVERT ? " or .npz" : "", strcmp(is, "npy") ? ""
                : "; numpy.load reads it, and numpy.savetxt makes .csv of it");
}

/* paths_check -- dies where a file cannot be written, or is named twice. */
static inline void paths_check(args *o, int command)
{
    for (int i = 0; i < COUNT(options); i++) {
        if (options[i].kind != O_OUT || !(options[i].of & command)) continue;
        const char *path = *(const char *const *)(const void *)((char *)o + options[i].at);
        if (!path) continue;
        can_write(options[i].name, path);
        /* a model may be written where it was read */
        for (int j = 0; j < COUNT(options); j++) {
            const option *in = &options[j];
            if (in->kind != O_TEXT || !given[j] || !strcmp(in->name, "resume")
                || (command == TUNE && !strcmp(in->name, "model")))
                continue;
            const char *other = *(const char *const *)(const void *)((char *)o + in->at);
            if (other && !strcmp(path, other))
                die(2, "--%s: '%s' is what --%s reads", options[i].name, path, in->name);
        }
        for (int j = 0; j < i; j++) {
            if (options[j].kind != O_OUT || !(options[j].of & command)) continue;
            const char *other = *(const char *const *)(const void *)((char *)o + options[j].at);
            if (other && !strcmp(path, other))
                die(2, "--%s: '%s': --%s writes there", options[i].name, path, options[j].name);
        }
        format_check(&options[i], path);
    }
}

/* options_read -- fill o for a command; where: "fd help train". */
static inline void options_read(args *o, int command, const char *where, int argc, char **argv)
{
    static const char *const shorts[] = { "-n", "n", "-o", "out", "-h", "help" };
    memset(o, 0, sizeof *o);
    command_now = command;
    for (int k = 0; k < FD_SCHEMES && k < ROWS; k++) {
        t_scheme.rows[k].name = fd_scheme_name(k);
        t_scheme.rows[k].help = k == FD_ANCESTRAL_OPTIMAL ? "for exact models, not for networks"
                              : k == FD_ANNEALED ? "needs a --corrector"
                              : k == FD_PF_MULTISTEP ? "keeps the last prediction"
                              : k < FD_ONE_STAGE ? "" : "several evaluations a step";
    }
    t_scheme.rows[SCHEME_AUTO].name = "auto";
    t_scheme.rows[SCHEME_AUTO].help = "what the process wants (fd help process)";
    for (int i = 0; i < COUNT(options); i++)
        if ((options[i].of & command) && options[i].def) option_set(o, &options[i], options[i].def);
    o->memory = size_read("FD_MEMORY", getenv("FD_MEMORY") ? getenv("FD_MEMORY") : "8G");
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i], *value = NULL;
        char name[64];
        int k = 0;
        for (int j = 0; j < COUNT(shorts); j += 2)
            if (!strcmp(word, shorts[j])) { word = name; sprintf(name, "--%s", shorts[j + 1]); }
        if (strncmp(word, "--", 2) || !word[2] || word[2] == '=')
            die(2, "'%s': expected a flag; %s lists them", word, where);
        word += 2;
        size_t n = strcspn(word, "=");
        if (word[n]) value = word + n + 1;
        if (n >= sizeof name) die(2, "'--%.40s...': unknown flag; %s lists them", word, where);
        memmove(name, word, n);
        name[n] = 0;
        while (k < COUNT(options) && !((options[k].of & command) && !strcmp(options[k].name, name)))
            k++;
        if (k == COUNT(options)) unknown(command, name, where);
        if (options[k].kind == O_YES) {
            if (value) die(2, "--%s: takes no value", name);
        } else if (!value) {
            if (++i == argc) die(2, "--%s: needs a value: %s", name, options[k].arg);
            value = argv[i];
        }
        option_set(o, &options[k], value);
        given[k] = 1;
    }
    if (o->help) return;
    paths_check(o, command);
#ifdef _OPENMP
    if (o->threads) omp_set_num_threads(o->threads);
#endif
}

/* arena_make -- the one buffer of the program: as much address space as may be had up to the limit;
 * the system gives real memory where it is touched, in large pages if it has them. */
static inline fd_arena arena_make(const args *o, fd_status *st)
{
    static void *mem;
    size_t n = (size_t)o->memory;
    while (posix_memalign(&mem, (size_t)1 << 21, n) && n > 1 << 20) n /= 2;
    if (!mem) die(1, "--memory: no memory at all");
#ifdef MADV_HUGEPAGE
    madvise(mem, n, MADV_HUGEPAGE);
#endif
    return fd_arena_over(mem, n, st);
}

#endif
