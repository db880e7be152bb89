# fd.jl -- the library from Julia: a random function, and the posterior mean given three values.
#
#     make build/libfd.so && julia examples/julia/fd.jl
#
# No Julia has run this page yet. tests/python.py holds its structures and its calls against fd.h,
# and makes the same calls in the same order.

const lib = joinpath(@__DIR__, "..", "..", "build", "libfd.so")

struct Arena                                             # fd_arena
    beg::Ptr{Cvoid}; stop::Ptr{Cvoid}; st::Ptr{Cvoid}
end
struct Rng                                               # fd_rng
    key::NTuple{2,UInt32}
end
struct Space                                             # fd_space
    nd::Cint; n::NTuple{3,Cint}; bc::NTuple{3,Cint}; ch::Cint
    len::NTuple{3,Cdouble}; h::Cdouble; points::Cptrdiff_t; modes::Cptrdiff_t
    to::NTuple{3,Ptr{Cvoid}}; from::NTuple{3,Ptr{Cvoid}}
    basis::Ptr{Cfloat}; weight::Ptr{Cfloat}; at::Ptr{Cfloat}
end
struct Obs                                               # fd_obs
    s::Space; m::Cint; linear::Cint
    apply::Ptr{Cvoid}; transpose::Ptr{Cvoid}; self::Ptr{Cvoid}; mul::Ptr{Cdouble}
    sd::Cdouble; each::Ptr{Cdouble}; chol::Ptr{Cdouble}
end
struct Posterior                                         # fd_posterior
    c0::Ptr{Cvoid}; gain::Ptr{Cvoid}; y::Ptr{Cdouble}; prior::Ptr{Cfloat}
    mean::Ptr{Cfloat}; evidence::Cdouble
end

# All that the library makes lies in `memory`; a call that fails says so in `status`.
const memory, status, why = zeros(UInt8, 1 << 24), zeros(UInt8, 512), zeros(UInt8, 256)
const n, at, y = 64, [0.1, 0.4, 0.8], [1.0, -0.5, 0.3]
const x = zeros(Cfloat, n)

const arena = Ref(@ccall lib.fd_arena_over(memory::Ptr{Cvoid}, length(memory)::Csize_t,
                                           status::Ptr{Cvoid})::Arena)
const space = Ref(@ccall lib.fd_grid(arena::Ref{Arena}, 1::Cint, Cint[n]::Ptr{Cint},
                                     C_NULL::Ptr{Cdouble}, Cint[1]::Ptr{Cint}, 1::Cint)::Space)
const cov = @ccall lib.fd_cov_matern(arena::Ref{Arena}, space::Ref{Space}, 1.0::Cdouble,
                                     0.3::Cdouble, 1.5::Cdouble)::Ptr{Cvoid}
const seed = @ccall lib.fd_seed(1::UInt64)::Rng
@ccall lib.fd_cov_draw(cov::Ptr{Cvoid}, seed::Rng, 0::Cint, 1::Cint, x::Ptr{Cfloat},
                       arena[]::Arena)::Cvoid

const obs = Ref(@ccall lib.fd_obs_points(arena::Ref{Arena}, space::Ref{Space}, 3::Cint,
                                         at::Ptr{Cdouble}, C_NULL::Ptr{Cint})::Obs)
@ccall lib.fd_obs_noise(arena::Ref{Arena}, obs::Ref{Obs}, 0.1::Cdouble)::Cvoid
const post = @ccall lib.fd_posterior_new(arena::Ref{Arena}, C_NULL::Ptr{Cfloat}, cov::Ptr{Cvoid},
                                         obs::Ref{Obs}, y::Ptr{Cdouble})::Ptr{Posterior}

if (@ccall lib.fd_explain(status::Ptr{Cvoid}, why::Ptr{Cchar}, 256::Csize_t)::Cint) != 0
    error(GC.@preserve why unsafe_string(pointer(why)))
end
println("a function: ", x[1:4], " ..")
println("its posterior mean: ", unsafe_wrap(Array, unsafe_load(post).mean, n)[1:4], " ..")
