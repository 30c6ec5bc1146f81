-- deterministic: random numbers without and with a seed
function run(input)
  local out = {math.random(), math.random(1000), math.random(0)}
  math.randomseed()
  out[4] = math.random(1000000)
  math.randomseed(7)
  out[5] = math.random(1000000)
  return out
end
