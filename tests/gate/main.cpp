// gate PORT TARGET [drop-pushes]: a relay between ports of 127.0.0.1 that delays and cuts (gate.h has its
// commands). A gate that is stopped with SIGSTOP is a network that has gone silent.

#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "gate/gate.h"

int main(int argc, char** argv) {
  try {
    if (argc < 3) throw std::runtime_error("gate PORT TARGET [drop-pushes]");
    const bool drops_pushes = argc > 3 && std::string_view(argv[3]) == "drop-pushes";
    larder::gate::Gate(std::stoi(argv[1]), std::stoi(argv[2]), drops_pushes).run();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
