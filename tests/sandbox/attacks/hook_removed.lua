-- technique: calls what is not there, debug.sethook; must: error
function run(input)
  local found = debug.sethook() or input.marker
  return input.marker or found
end
