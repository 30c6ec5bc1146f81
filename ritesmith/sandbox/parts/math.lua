-- The math library, its random numbers seeded by the run.

local core = ...
local math, select, raw_randomseed = core.math, core.select, core.math.randomseed

-- Without arguments the reference would ask the clock.
local function random_seeded(...)
  if select("#", ...) == 0 then return raw_randomseed(core.seed) end
  return raw_randomseed(...)
end

return {
  math = {
    abs = math.abs,
    acos = math.acos,
    asin = math.asin,
    atan = math.atan,
    ceil = math.ceil,
    cos = math.cos,
    deg = math.deg,
    exp = math.exp,
    floor = math.floor,
    fmod = math.fmod,
    frexp = math.frexp,
    huge = math.huge,
    ldexp = math.ldexp,
    log = math.log,
    max = math.max,
    maxinteger = math.maxinteger,
    min = math.min,
    mininteger = math.mininteger,
    modf = math.modf,
    pi = math.pi,
    rad = math.rad,
    random = math.random,
    randomseed = random_seeded,
    sin = math.sin,
    sqrt = math.sqrt,
    tan = math.tan,
    tointeger = math.tointeger,
    type = math.type,
    ult = math.ult,
  },
}
