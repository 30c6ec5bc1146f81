-- technique: calls what is not there, os.getenv; must: error
function run(input)
  local found = os.getenv('SBX_SECRET')
  return input.marker or found
end
