-- deterministic: the texts of errors
function run(input)
  local out = {}
  for i, f in ipairs{function() return nil + 1 end, function() return #5 end, function() return {} < {} end, function() string.rep() end, function() return ('x'):bad() end, function() return 1 // 0 end, function() return 2^53 | 0.5 end} do
    out[i] = select(2, pcall(f))
  end
  return out
end
