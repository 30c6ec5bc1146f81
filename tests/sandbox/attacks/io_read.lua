-- technique: calls what is not there, io.open; must: error
function run(input)
  local found = io.open(input.secret_file):read('a')
  return input.marker or found
end
