-- technique: repeats nothing, for ever; must: limit
function run(input)
  while true do (''):rep(1 << 62) end
end
