-- deterministic: several objects as keys: refused each time
function run(input)
  local n = 0
  local ok, problem = pcall(function() for k in pairs({[{}] = 1, [run] = 2}) do n = n + 1 end end)
  return {ok, tostring(problem), n}
end
